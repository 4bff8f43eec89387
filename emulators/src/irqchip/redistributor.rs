//! A GICv3's redistributors (IHI 0069, 12.10 and 12.11): two frames of 64 KiB for each CPU, without LPIs.

use arch::Width;
use isa_gic::v3::gicr::{self, typer, waker};
use isa_gic::v3::irouter;

use super::distributor_v3::{IDENTITY, part};
use super::registers::{self, At};
use super::state::Gic;

/// Bytes that each CPU's redistributor covers.
pub(super) const STRIDE: u64 = typer::stride(0);
/// The upper half of GICR_TYPER.
const TYPER_HIGH: u64 = gicr::TYPER + 4;
const SLEEP: u64 = waker::PROCESSOR_SLEEP as u64;
const ASLEEP: u64 = waker::CHILDREN_ASLEEP as u64;

/// Reads from CPU `cpu`'s redistributor.
pub(super) fn read(gic: &mut Gic, cpu: usize, at: At) -> u64 {
    if let Some(offset) = at.offset.checked_sub(gicr::SGI_BASE) {
        return registers::read(gic, cpu, At { offset, ..at }, 0..=0);
    }
    let last = cpu + 1 == gic.cpus.len();
    let Some(own) = gic.cpus.get(cpu) else { return 0 };
    match (at.offset, at.width) {
        (gicr::IIDR, Width::B4) => IDENTITY,
        (gicr::TYPER, Width::B4 | Width::B8) | (TYPER_HIGH, Width::B4) => {
            let number = u16::try_from(cpu).unwrap_or(u16::MAX);
            part(typer::compose(own.affinity, number) | if last { typer::LAST } else { 0 }, at)
        }
        (gicr::WAKER, Width::B4) if !own.awake => SLEEP | ASLEEP,
        (registers::ID..gicr::SGI_BASE, Width::B4) => registers::identification(at.offset, 3),
        _ => 0,
    }
}

/// Writes.
pub(super) fn write(gic: &mut Gic, cpu: usize, at: At, value: u64) {
    if let Some(offset) = at.offset.checked_sub(gicr::SGI_BASE) {
        return registers::write(gic, cpu, At { offset, ..at }, 0..=0, value);
    }
    let Some(own) = gic.cpus.get_mut(cpu) else { return };
    if (at.offset, at.width) == (gicr::WAKER, Width::B4) {
        let awake = value & SLEEP == 0;
        if core::mem::replace(&mut own.awake, awake) != awake {
            gic.retarget(|route| route & irouter::ANY != 0);
        }
    }
}
