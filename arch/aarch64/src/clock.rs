//! The generic timer (DDI 0487, chapter D12): the physical counter is our clock, the EL2 physical timer
//! our alarm.

use core::sync::atomic::{AtomicU64, Ordering};

use arch_api::{Clock, IrqsOff, Nanos};

use crate::Aarch64;
use crate::registers::{get, isb, set};

/// Nanoseconds per tick and ticks per nanosecond, as fractions of 2^32 and 2^48.
static NANOS_PER_TICK: AtomicU64 = AtomicU64::new(0);
static TICKS_PER_NANO: AtomicU64 = AtomicU64::new(0);

/// CNTHP_CTL_EL2.ENABLE
const ENABLE: u64 = 1;

/// Reads the counter's frequency, and sets the boot CPU's timers.
pub(crate) fn start() {
    let frequency = u128::from(Aarch64::frequency());
    let nanos = 1_000_000_000u128;
    NANOS_PER_TICK.store(((nanos << 32) / frequency) as u64, Ordering::Relaxed);
    TICKS_PER_NANO.store(((frequency << 48) / nanos) as u64, Ordering::Relaxed);
    start_cpu();
}

/// Sets this CPU's timers: no offset, nothing rings, guests read the counters.
pub(crate) fn start_cpu() {
    // SAFETY: EL1 may read the physical counter (EL1PCTEN); its physical timer traps (EL1PCEN clear).
    unsafe {
        set!("cnthctl_el2", 0b01);
        set!("cntvoff_el2", 0);
        set!("cnthp_ctl_el2", 0);
        set!("cntv_ctl_el0", 0);
    }
    isb();
}

/// The nanosecond at which the counter reads `ticks`.
pub(crate) fn nanos_at(ticks: u64) -> Nanos {
    Nanos(((u128::from(ticks) * u128::from(NANOS_PER_TICK.load(Ordering::Relaxed))) >> 32) as u64)
}

impl Clock for Aarch64 {
    #[inline]
    fn now() -> Nanos {
        isb();
        nanos_at(get!("cntpct_el0"))
    }

    #[inline]
    fn alarm(_masked: &IrqsOff<Self>, at: Option<Nanos>) {
        match at {
            Some(at) => {
                let scaled = u128::from(at.0) * u128::from(TICKS_PER_NANO.load(Ordering::Relaxed));
                // Rounded up, so that the alarm never comes before its time.
                let ticks = u64::try_from(scaled >> 48).unwrap_or(u64::MAX - 1).saturating_add(1);
                // SAFETY: the EL2 timer is ours alone; interrupts are masked.
                unsafe {
                    set!("cnthp_cval_el2", ticks);
                    set!("cnthp_ctl_el2", ENABLE);
                }
            }
            // SAFETY: as above.
            None => unsafe { set!("cnthp_ctl_el2", 0) },
        }
    }

    fn frequency() -> u64 {
        // Firmware that forgot to set it leaves zero; nothing sensible can follow, but no division by it.
        get!("cntfrq_el0").max(1)
    }

    fn ticks() -> u64 {
        isb();
        get!("cntpct_el0")
    }

    fn time_of(ticks: u64) -> Nanos {
        let scaled = u128::from(ticks) * u128::from(NANOS_PER_TICK.load(Ordering::Relaxed));
        Nanos(u64::try_from(scaled >> 32).unwrap_or(u64::MAX))
    }
}
