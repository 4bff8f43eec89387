//! Never yielding, and coming and going.

use crate::runtime::firmware;
use crate::runtime::registers::{instruction, mask};

/// Interrupts masked, and a loop of one instruction.
pub(super) fn spin() {
    mask();
    instruction!("msr daifset, #0xf\n2: b 2b");
}

/// Resets at once: with the guest's start, a storm of resets.
pub(super) fn reset() {
    firmware::reset();
}

/// Powers off at once.
pub(super) fn off() {
    firmware::off();
}
