//! The time counter, and the supervisor's timer: `stimecmp` (Sstc) where there is one, the firmware's otherwise.

use isa_firmware::sbi::{Extension, time};

use super::firmware;
use super::registers::{get, set};
use crate::runtime::machine::machine;

/// The counter.
#[inline(always)]
pub(crate) fn now() -> u64 {
    get!("time")
}

/// Ticks of it in a second.
pub(crate) fn frequency() -> u64 {
    machine().parts.frequency
}

/// Whether there is `stimecmp`.
pub(crate) fn has_sstc() -> bool {
    machine().parts.sstc
}

/// Lets the timer interrupt at `at`.
pub(crate) fn arm(at: u64) {
    if has_sstc() {
        set!("0x14d", at);
    } else {
        arm_by_call(at);
    }
}

/// The same by way of the firmware.
pub(crate) fn arm_by_call(at: u64) {
    firmware::call(Extension::Time, time::SET_TIMER, [at, 0, 0, 0]);
}

/// Stops the timer.
pub(crate) fn stop() {
    arm(u64::MAX);
}
