//! The time counter (Unpriv, "Zicntr"; its frequency is the tree's `timebase-frequency`), and the alarm: the
//! compare register of supervisors (Sstc) where there is one, the firmware's timer otherwise.

use core::sync::atomic::{AtomicU64, Ordering};

use arch_api::{Clock, IrqsOff, Nanos};
use arch_parts::scale::Scale;
use isa_rv::extensions::Extension;

use crate::csr::{get, set};
use crate::{Riscv64, cpu, sbi};

static SCALE: Scale = Scale::new();
static FREQUENCY: AtomicU64 = AtomicU64::new(1);

/// Notes the counter's frequency; nothing rings yet.
pub(crate) fn start(frequency: u64) {
    FREQUENCY.store(frequency, Ordering::Relaxed);
    SCALE.set(frequency);
    start_cpu();
}

/// This CPU's alarm is off.
pub(crate) fn start_cpu() {
    set_alarm(u64::MAX);
}

fn set_alarm(ticks: u64) {
    if cpu::has(Extension::Sstc) {
        // SAFETY: the compare register is ours alone.
        unsafe { set!("stimecmp", ticks) };
    } else {
        sbi::set_timer(ticks);
    }
}

/// Has the alarm ring at `at` if it would ring later, and says when that was, in ticks: to be put back by [`ring_at`].
/// `None` where the alarm is the firmware's, which does not say when it rings.
#[cold]
pub(crate) fn ring_by(at: Nanos) -> Option<u64> {
    let before = cpu::has(Extension::Sstc).then(|| get!("stimecmp"))?;
    set_alarm(before.min(SCALE.ticks(at)));
    Some(before)
}

/// Has the alarm ring at `ticks`.
#[cold]
pub(crate) fn ring_at(ticks: u64) {
    set_alarm(ticks);
}

impl Clock for Riscv64 {
    #[inline]
    fn now() -> Nanos {
        SCALE.now(get!("time"))
    }

    #[inline]
    fn alarm(_masked: &IrqsOff<Self>, at: Option<Nanos>) {
        set_alarm(at.map_or(u64::MAX, |at| SCALE.ticks(at)));
    }

    fn frequency() -> u64 {
        FREQUENCY.load(Ordering::Relaxed)
    }

    fn ticks() -> u64 {
        get!("time")
    }

    fn time_of(ticks: u64) -> Nanos {
        SCALE.nanos(ticks)
    }
}
