//! The registers that the distributors of both versions and the redistributors have in common: one bit,
//! two bits or a byte per interrupt, at the same offsets everywhere (IHI 0069, 12.9 and 12.11; IHI 0048B,
//! 4.3). What is not there reads as zero and ignores writes.
//!
//! What a register says about an interrupt that a CPU's hardware holds is what was true at that CPU's
//! last exchange. Who reads about what it holds itself therefore exchanges first ([`tells_of_hardware`]);
//! a read about what another CPU holds asks that one for an exchange, so that a guest that polls until an
//! interrupt is over sees it end.

use core::ops::RangeInclusive;

use arch::{SlotState, Width};
use isa_gic::gicd;

use super::distributor_v2::SPENDSGIR_END;
use super::lanes::bits;
use super::state::{Caller, Gic, Intid, PRIORITY_MASK, Version};

/// An access to a register: its offset in the frame, and how much of it.
#[derive(Clone, Copy)]
pub(super) struct At {
    /// Bytes from the start of the frame.
    pub(super) offset: u64,
    /// How much.
    pub(super) width: Width,
}

/// One bit per interrupt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Property {
    Group,
    SetEnable,
    ClearEnable,
    SetPending,
    ClearPending,
    SetActive,
    ClearActive,
}

impl Property {
    fn of(offset: u64) -> Option<Self> {
        Some(match offset {
            gicd::IGROUPR..gicd::ISENABLER => Self::Group,
            gicd::ISENABLER..gicd::ICENABLER => Self::SetEnable,
            gicd::ICENABLER..gicd::ISPENDR => Self::ClearEnable,
            gicd::ISPENDR..gicd::ICPENDR => Self::SetPending,
            gicd::ICPENDR..gicd::ISACTIVER => Self::ClearPending,
            gicd::ISACTIVER..gicd::ICACTIVER => Self::SetActive,
            gicd::ICACTIVER..gicd::IPRIORITYR => Self::ClearActive,
            _ => return None,
        })
    }
}

/// Whether the register at `offset` says how far CPUs are with interrupts that their hardware holds: what is
/// pending, and what is active.
pub(super) fn tells_of_hardware(offset: u64) -> bool {
    matches!(offset, gicd::ISPENDR..gicd::IPRIORITYR | gicd::CPENDSGIR..SPENDSGIR_END)
}

/// Reads a register of CPU `cpu`'s view; blocks outside `words` have none.
// Apart from the registers that a caller knows itself, which have less to keep.
#[inline(never)]
pub(super) fn read(gic: &mut Gic, cpu: usize, at: At, words: RangeInclusive<usize>) -> u64 {
    if let (Some(property), Width::B4) = (Property::of(at.offset), at.width) {
        let word = (at.offset % 0x80 / 4) as usize;
        if !words.contains(&word) {
            return 0;
        }
        return read_bits(gic, cpu, word, property).into();
    }
    match at.offset {
        gicd::IPRIORITYR..gicd::ITARGETSR if at.width != Width::B8 => bytes(at, gicd::IPRIORITYR, &words)
            .filter_map(|(shift, id)| {
                Some(u64::from(*gic.block(cpu, id.word())?.priority.at(id.bit())) << shift)
            })
            .sum(),
        gicd::ICFGR..gicd::IGRPMODR if at.width == Width::B4 => {
            let (word, half) = config_place(at);
            let edge = match gic.block(cpu, word) {
                Some(block) if words.contains(&word) => block.edge >> half,
                _ => return 0,
            };
            bits(edge & 0xffff).map(|bit| 2 << (bit * 2)).sum()
        }
        _ => 0,
    }
}

/// Writes one.
pub(super) fn write(gic: &mut Gic, cpu: usize, at: At, words: RangeInclusive<usize>, value: u64) {
    if let (Some(property), Width::B4) = (Property::of(at.offset), at.width) {
        let word = (at.offset % 0x80 / 4) as usize;
        if words.contains(&word) {
            write_bits(gic, cpu, word, property, (value & 0xffff_ffff) as u32);
        }
        return;
    }
    match at.offset {
        gicd::IPRIORITYR..gicd::ITARGETSR if at.width != Width::B8 => {
            for (shift, id) in bytes(at, gicd::IPRIORITYR, &words) {
                let priority = (value >> shift & 0xff) as u8 & PRIORITY_MASK;
                let Some(block) = gic.block(cpu, id.word()) else { return };
                if core::mem::replace(block.priority.at_mut(id.bit()), priority) != priority {
                    gic.disturb(cpu, id.word(), id.mask());
                }
            }
        }
        gicd::ICFGR..gicd::IGRPMODR if at.width == Width::B4 => {
            let (word, half) = config_place(at);
            if !words.contains(&word) {
                return;
            }
            let Some(block) = gic.block(cpu, word) else { return };
            let edges = (0..16)
                .filter(|bit| value >> (bit * 2 + 1) & 1 != 0)
                .fold(0u32, |edges, bit| edges | 1 << bit);
            // SGIs are edges whatever is written.
            let (mask, edges) = if word == 0 && half == 0 { (0, 0) } else { (0xffff << half, edges << half) };
            let changed = (block.edge ^ edges) & mask;
            block.edge ^= changed;
            gic.changed(cpu, word, changed);
        }
        _ => {}
    }
}

/// Which interrupts an access to registers of a byte each, from `base` on, covers: the byte's place in the
/// value, and the interrupt.
pub(super) fn bytes(at: At, base: u64, words: &RangeInclusive<usize>) -> impl Iterator<Item = (u32, Intid)> {
    let first = at.offset - base;
    (0..at.width.bytes()).filter_map(move |byte| {
        let id = Intid::new(u32::try_from(first + byte).ok()?)?;
        words.contains(&id.word()).then_some(((byte * 8) as u32, id))
    })
}

/// Which half of which block a configuration register shows.
fn config_place(at: At) -> (usize, u32) {
    let register = (at.offset - gicd::ICFGR) / 4;
    ((register / 2) as usize, if register.is_multiple_of(2) { 0 } else { 16 })
}

fn read_bits(gic: &mut Gic, cpu: usize, word: usize, property: Property) -> u32 {
    if !matches!(property, Property::Group | Property::SetEnable | Property::ClearEnable) {
        gic.drain(cpu);
        refresh_held(gic, cpu, word);
    }
    let Some(block) = gic.block(cpu, word) else { return 0 };
    match property {
        Property::Group => block.group1,
        Property::SetEnable | Property::ClearEnable => block.enabled,
        Property::SetPending | Property::ClearPending => block.pending(),
        Property::SetActive | Property::ClearActive => block.active,
    }
}

/// Asks the others who hold interrupts of this block for an exchange.
fn refresh_held(gic: &mut Gic, cpu: usize, word: usize) {
    let Some(block) = gic.block(cpu, word) else { return };
    for bit in bits(block.held) {
        let Some(holder) = gic.block(cpu, word).map(|block| block.holder.at(bit).cpu) else { return };
        if gic.caller != Caller::Access(holder) {
            gic.call(holder);
        }
    }
}

fn write_bits(gic: &mut Gic, cpu: usize, word: usize, property: Property, value: u32) {
    gic.drain(cpu);
    let version = gic.version;
    let Some(block) = gic.block(cpu, word) else { return };
    // GICv2's SGIs have registers of their own for this (IHI 0048B, 4.3.7).
    let pendable = if version == Version::V2 && word == 0 { value & !0xffff } else { value };
    let changed = match property {
        Property::Group => core::mem::replace(&mut block.group1, value) ^ value,
        Property::SetEnable => {
            let changed = value & !block.enabled;
            block.enabled |= changed;
            changed
        }
        Property::ClearEnable => {
            let changed = value & block.enabled;
            block.enabled &= !changed;
            changed
        }
        Property::SetPending => {
            block.latch |= pendable;
            pendable
        }
        Property::ClearPending => {
            block.latch &= !pendable;
            block.latched &= !pendable;
            pendable
        }
        Property::SetActive => {
            block.active |= value;
            activate(gic, cpu, word, value, true);
            value
        }
        Property::ClearActive => {
            block.active &= !value;
            activate(gic, cpu, word, value, false);
            value
        }
    };
    gic.changed(cpu, word, changed);
    if word != 0 {
        gic.drain_shared();
    }
}

/// Notes for whoever holds one of these interrupts that it is to become active, or inactive.
fn activate(gic: &mut Gic, cpu: usize, word: usize, mask: u32, active: bool) {
    let Some(held) = gic.block(cpu, word).map(|block| block.held & mask) else { return };
    for bit in bits(held) {
        let Some(holder) = gic.block(cpu, word).map(|block| *block.holder.at(bit)) else { return };
        let holding = gic.cpus.get_mut(holder.cpu.get());
        if let Some(slot) = holding.and_then(|cpu| cpu.slots.get_mut(usize::from(holder.slot))) {
            slot.activate = Some(active);
            debug_assert_eq!(slot.id, Intid::at(word, bit));
            debug_assert_ne!(slot.state, SlotState::Empty);
        }
    }
}

/// Where the identification registers of a frame of 64 KiB begin (GICD_PIDR4).
pub(super) const ID: u64 = gicd::PIDR2_V3 - 0x18;

/// The identification registers, PIDR4 to PIDR7, PIDR0 to PIDR3, CIDR0 to CIDR3.
pub(super) fn identification(offset: u64, version: u8) -> u64 {
    const ARM: [u8; 12] = [0x44, 0, 0, 0, 0x58, 0xb4, 0x0b, 0, 0x0d, 0xf0, 0x05, 0xb1];
    let index = (offset - ID) / 4;
    let value = ARM.get(index as usize).copied().unwrap_or(0);
    // PIDR2.ArchRev.
    (if index == 6 { value | version << 4 } else { value }).into()
}
