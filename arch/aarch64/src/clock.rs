//! The generic timer (DDI 0487, chapter D12): the physical counter is our clock, the EL2 physical timer
//! our alarm.

use arch_api::{Clock, IrqsOff, Nanos};
use arch_parts::scale::Scale;

use crate::Aarch64;
use crate::registers::{get, isb, set};

static SCALE: Scale = Scale::new();

/// CNTHP_CTL_EL2.ENABLE
const ENABLE: u64 = 1;

/// Reads the counter's frequency, and sets the boot CPU's timers.
pub(crate) fn start() {
    SCALE.set(Aarch64::frequency());
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

impl Clock for Aarch64 {
    #[inline]
    fn now() -> Nanos {
        isb();
        SCALE.now(get!("cntpct_el0"))
    }

    #[inline]
    fn alarm(_masked: &IrqsOff<Self>, at: Option<Nanos>) {
        match at {
            Some(at) => {
                let ticks = SCALE.ticks(at);
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
        SCALE.nanos(ticks)
    }
}
