//! The generic timer (DDI 0487, D12): the virtual one, a little of the physical one, and the counter.

use super::registers::{get, set};

/// The virtual timer's interrupt on these machines.
pub(crate) const VIRTUAL_ID: u32 = 27;
/// The physical timer's.
pub(crate) const PHYSICAL_ID: u32 = 30;
/// ENABLE, IMASK and ISTATUS of the control registers.
pub(crate) const ENABLE: u64 = 1;
/// See [`ENABLE`].
pub(crate) const IMASK: u64 = 2;
/// See [`ENABLE`].
pub(crate) const ISTATUS: u64 = 4;

/// The counter.
#[inline(always)]
pub(crate) fn now() -> u64 {
    get!("cntvct_el0")
}

/// Ticks of it in a second.
pub(crate) fn frequency() -> u64 {
    get!("cntfrq_el0")
}

/// Lets the virtual timer interrupt at `at`.
pub(crate) fn arm(at: u64) {
    set!("cntv_cval_el0", at);
    set!("cntv_ctl_el0", ENABLE);
}

/// Stops the virtual timer.
pub(crate) fn stop() {
    set!("cntv_ctl_el0", 0);
}

/// Stops the physical timer.
pub(crate) fn stop_physical() {
    set!("cntp_ctl_el0", 0);
}
