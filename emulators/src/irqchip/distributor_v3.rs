//! The distributor of a GICv3 (IHI 0069, 12.9), of one security state and with affinity routing always
//! on: GICD_CTLR.DS and ARE read as one.

use arch::Width;
use isa_gic::gicd::{self, ctlr, typer};
use isa_gic::v3::irouter;

use super::block::Groups;
use super::pins::Inputs;
use super::registers::{self, At};
use super::state::{FIRST_SPI, Gic, Intid};

/// Behind the last GICD_IROUTER.
const IROUTER_END: u64 = gicd::IROUTER + 0x2000;
/// What GICD_CTLR says whatever is written: affinity routing is on, and there is one security state.
const CTLR_FIXED: u32 = ctlr::ARE | ctlr::DS;
/// IIDR of both versions: implementer Arm, as the layout requires one; product 'X'.
pub(super) const IDENTITY: u64 = 0x5800_043b;

/// Reads what never changes, if that is what `at` is: there is no state to look at.
#[inline]
pub(super) fn constant(inputs: &Inputs, at: At) -> Option<u64> {
    match (at.offset, at.width) {
        (gicd::TYPER, Width::B4) => Some(typer(inputs.words())),
        (gicd::IIDR, Width::B4) => Some(IDENTITY),
        _ => None,
    }
}

/// Reads.
pub(super) fn read(gic: &mut Gic, cpu: usize, at: At) -> u64 {
    match (at.offset, at.width) {
        (gicd::CTLR, Width::B4) => u64::from(gic.groups.register() | CTLR_FIXED),
        (gicd::TYPER | gicd::IIDR, _) => constant(&gic.inputs, at).unwrap_or(0),
        (gicd::IROUTER..IROUTER_END, Width::B4 | Width::B8) => match routed(gic, at.offset) {
            Some(id) => {
                let route = gic.block(cpu, id.word()).map_or(0, |block| *block.route.at(id.bit()));
                part(route, at)
            }
            None => 0,
        },
        (registers::ID..gicd::SIZE_V3, Width::B4) => registers::identification(at.offset, 3),
        _ => {
            let last = gic.words() - 1;
            registers::read(gic, cpu, at, 1..=last)
        }
    }
}

/// Writes.
pub(super) fn write(gic: &mut Gic, cpu: usize, at: At, value: u64) {
    match (at.offset, at.width) {
        (gicd::CTLR, Width::B4) => gic.set_groups(Groups::from_register((value & 0xffff_ffff) as u32)),
        (gicd::SETSPI_NSR | gicd::CLRSPI_NSR, Width::B2 | Width::B4) => {
            let id = Intid::new((value & 0x3ff) as u32).filter(|id| id.get() >= FIRST_SPI);
            if let Some(id) = id {
                set_message(gic, id, at.offset == gicd::SETSPI_NSR);
            }
        }
        (gicd::IROUTER..IROUTER_END, Width::B4 | Width::B8) => {
            if let Some(id) = routed(gic, at.offset) {
                let before = gic.block(cpu, id.word()).map_or(0, |block| *block.route.at(id.bit()));
                let route = merge(before, at, value) & (irouter::AFFINITY | irouter::ANY);
                gic.set_route(id.word(), id.bit(), route);
            }
        }
        _ => {
            let last = gic.words() - 1;
            registers::write(gic, cpu, at, 1..=last, value);
        }
    }
}

fn typer(words: usize) -> u64 {
    // There are 31 blocks of shared interrupts at most.
    let interrupts = ((words & 31) as u32 + 1) * 32;
    (typer::RSS | typer::A3V | typer::with_id_bits(10) | typer::MBIS | typer::lines(interrupts)).into()
}

/// A message: an edge by itself, or a level that is set and cleared by writes.
fn set_message(gic: &mut Gic, id: Intid, set: bool) {
    let Some(block) = gic.block(0, id.word()) else { return };
    if set {
        block.latch |= id.mask();
    } else {
        block.latch &= !id.mask();
        block.latched &= !id.mask();
    }
    gic.changed(0, id.word(), id.mask());
}

/// The shared interrupt that a routing register is for.
fn routed(gic: &Gic, offset: u64) -> Option<Intid> {
    Intid::new(u32::try_from((offset - gicd::IROUTER) / 8).ok()?)
        .filter(|id| id.get() >= FIRST_SPI && id.word() < gic.words())
}

/// What an access of four or eight bytes sees of a register of eight.
pub(super) fn part(register: u64, at: At) -> u64 {
    register >> (at.offset % 8 * 8) & at.width.mask()
}

/// A register of eight bytes after a write of four or eight.
fn merge(before: u64, at: At, value: u64) -> u64 {
    let (shift, mask) = (at.offset % 8 * 8, at.width.mask());
    before & !(mask << shift) | (value & mask) << shift
}
