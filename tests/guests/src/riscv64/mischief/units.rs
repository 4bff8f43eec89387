//! Floating-point and vector registers in use all the time.

use crate::arch::selfcheck::units;
use crate::runtime::clock::ticks;
use crate::runtime::{say, timer};

/// Keeps numbers of its own in the registers, and looks whether they are there; for ever, or until they are not.
pub(super) fn run() {
    units::salt();
    units::fill();
    let mut next = timer::now();
    while units::are_intact() {
        if timer::now() >= next {
            say!("MISCHIEF units: intact");
            next = timer::now() + ticks(100_000_000);
            // Others again, so that what was saved some time ago is not right for ever.
            units::salt();
            units::fill();
        }
    }
    say!("FAIL the floating-point or vector registers are another's");
}
