//! Time: virtual at first, real if asked.

use std::sync::OnceLock;
use std::time::Instant;

use arch_api::{Clock, IrqsOff, Nanos};

use crate::{Hosted, cpu};

/// So many times slower than the development machine's is the clock that is called real. Miri has a clock of its own,
/// on which a block of straight code takes microseconds: threads would have no time for more than their timers.
pub(crate) const SLOWER: u32 = if cfg!(miri) { 1000 } else { 1 };

/// Real time since the first question.
pub(crate) fn real() -> Nanos {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed() / SLOWER;
    Nanos(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX))
}

/// Lets `length` of virtual time pass, as if the running thread computed; alarms in between ring when
/// they are due. Nothing on the real clock.
pub fn advance(length: Nanos) {
    let mut left = length;
    while left.0 > 0 {
        let cpu = cpu::here();
        let Some(now) = cpu.virtual_now.get() else { return };
        let step = match cpu.alarm.get() {
            Some(at) if at > now => left.min(at.since(now)),
            _ => left,
        };
        left = left.since(step);
        cpu.virtual_now.set(Some(now.after(step)));
        cpu::deliver();
    }
}

/// Lets virtual time pass until an interrupt is pending, `length` at most; says what is left.
pub(crate) fn compute(length: Nanos) -> Nanos {
    let cpu = cpu::here();
    let Some(now) = cpu.virtual_now.get() else { return Nanos(0) };
    let step = match cpu.alarm.get() {
        Some(at) => length.min(at.since(now)),
        None => length,
    };
    cpu.virtual_now.set(Some(now.after(step)));
    length.since(step)
}

/// This processor uses the real clock from now on.
pub fn use_real_clock() {
    cpu::here().virtual_now.set(None);
}

impl Clock for Hosted {
    fn now() -> Nanos {
        cpu::here().now()
    }
    fn alarm(_: &IrqsOff<Self>, at: Option<Nanos>) {
        cpu::here().alarm.set(at);
    }
    fn frequency() -> u64 {
        1_000_000_000
    }
    fn ticks() -> u64 {
        Self::now().0
    }
    fn time_of(ticks: u64) -> Nanos {
        Nanos(ticks)
    }
}
