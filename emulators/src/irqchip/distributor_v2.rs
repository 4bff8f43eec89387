//! The distributor of a GICv2 (IHI 0048B, 4.3), for up to eight CPUs, each with its own view of the
//! first 32 interrupts. The CPU interface is the host's own (GICV), mapped into the guest.

use arch::Width;
use isa_gic::gicd::{self, typer};

use super::block::Groups;
use super::distributor_v3::IDENTITY;
use super::registers::{self, At, bytes};
use super::sgi;
use super::state::{Gic, Intid};

/// What the architecture allows.
pub(super) const MOST_CPUS: usize = 8;

/// Behind the last GICD_SPENDSGIR.
pub(super) const SPENDSGIR_END: u64 = gicd::SPENDSGIR + 0x10;
/// The identification registers.
const ID: u64 = gicd::PIDR2_V2 - 0x18;

/// Reads.
pub(super) fn read(gic: &mut Gic, cpu: usize, at: At) -> u64 {
    let last = gic.words() - 1;
    match (at.offset, at.width) {
        (gicd::CTLR, Width::B4) => gic.groups.register().into(),
        (gicd::TYPER, Width::B4) => {
            let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
            (typer::cpu_number(number(gic.cpus.len())) | typer::lines(number(gic.words() * 32))).into()
        }
        (gicd::IIDR, Width::B4) => IDENTITY,
        (gicd::ITARGETSR..gicd::ICFGR, Width::B1 | Width::B2 | Width::B4) => {
            bytes(at, gicd::ITARGETSR, &(0..=last)).map(|(shift, id)| targets(gic, cpu, id) << shift).sum()
        }
        (gicd::CPENDSGIR..SPENDSGIR_END, Width::B1 | Width::B2 | Width::B4) => {
            senders_of(at).map(|(shift, sgi)| u64::from(senders(gic, cpu, sgi)) << shift).sum()
        }
        (ID..gicd::SIZE_V2, Width::B4) => registers::identification(at.offset + (registers::ID - ID), 2),
        _ => registers::read(gic, cpu, at, 0..=last),
    }
}

/// Writes.
pub(super) fn write(gic: &mut Gic, cpu: usize, at: At, value: u64) {
    let last = gic.words() - 1;
    match (at.offset, at.width) {
        (gicd::CTLR, Width::B4) => gic.set_groups(Groups::from_register((value & 0xffff_ffff) as u32)),
        (gicd::ITARGETSR..gicd::ICFGR, Width::B1 | Width::B2 | Width::B4) => {
            let all = (1u64 << gic.cpus.len().min(MOST_CPUS)) - 1;
            // The first 32 are the CPU's own; a lone CPU has no choice.
            if gic.cpus.len() > 1 {
                for (shift, id) in bytes(at, gicd::ITARGETSR, &(1..=last)) {
                    gic.set_route(id.word(), id.bit(), value >> shift & all);
                }
            }
        }
        (gicd::SGIR, Width::B4) => sgi::send_v2(gic, cpu, (value & 0xffff_ffff) as u32),
        (gicd::CPENDSGIR..SPENDSGIR_END, Width::B1 | Width::B2 | Width::B4) => {
            for (shift, sgi) in senders_of(at) {
                let senders = (value >> shift & 0xff) as u8;
                set_senders(gic, cpu, sgi, senders, at.offset >= gicd::SPENDSGIR);
            }
        }
        _ => registers::write(gic, cpu, at, 0..=last, value),
    }
}

/// A byte of GICD_ITARGETSR.
fn targets(gic: &mut Gic, cpu: usize, id: Intid) -> u64 {
    if gic.cpus.len() == 1 {
        return 0;
    }
    if id.word() == 0 {
        return 1 << (cpu & 7);
    }
    gic.block(cpu, id.word()).map_or(0, |block| *block.route.at(id.bit()))
}

/// The SGIs whose bytes an access to GICD_CPENDSGIR or GICD_SPENDSGIR covers.
fn senders_of(at: At) -> impl Iterator<Item = (u32, Intid)> {
    bytes(At { offset: at.offset % 16, ..at }, 0, &(0..=0)).filter(|(_, id)| id.is_sgi())
}

/// Who sent an SGI that is pending, ours or in the hardware.
fn senders(gic: &Gic, cpu: usize, sgi: Intid) -> u8 {
    let Some(own) = gic.cpus.get(cpu) else { return 0 };
    let waiting = own.sources.get(sgi.get() as usize).copied().unwrap_or(0);
    let held = match own.slots.get(usize::from(own.private.holder.at(sgi.bit()).slot)) {
        Some(slot) if own.private.latched & sgi.mask() != 0 => 1 << (slot.source & 7),
        _ => 0,
    };
    waiting | held
}

fn set_senders(gic: &mut Gic, cpu: usize, sgi: Intid, senders: u8, pending: bool) {
    let Some(own) = gic.cpus.get_mut(cpu) else { return };
    let Some(sources) = own.sources.get_mut(sgi.get() as usize) else { return };
    let (block, mask) = (&mut own.private, sgi.mask());
    if pending {
        *sources |= senders;
    } else {
        *sources &= !senders;
        let slot = own.slots.get(usize::from(block.holder.at(sgi.bit()).slot));
        if slot.is_some_and(|slot| senders >> (slot.source & 7) & 1 != 0) {
            block.latched &= !mask;
        }
    }
    block.latch = if *sources != 0 { block.latch | mask } else { block.latch & !mask };
    gic.changed(cpu, 0, mask);
}
