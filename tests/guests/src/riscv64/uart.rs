//! The 16550.

use isa_uart::{DATA, FCR, IER, LCR, LSR, MCR, fcr, lcr, lsr};

use super::mmio::{load8, store8};

/// Makes it work as it should.
pub(crate) fn revive(uart: u64) {
    store8(uart + LCR, lcr::BITS_8);
    store8(uart + IER, 0);
    store8(uart + FCR, fcr::ENABLE);
    store8(uart + MCR, 0);
}

/// Whether there is no room for a character.
#[inline(always)]
pub(crate) fn is_full(uart: u64) -> bool {
    load8(uart + LSR) & lsr::EMPTY == 0
}

/// Whether a character is not out yet.
#[inline(always)]
pub(crate) fn is_busy(uart: u64) -> bool {
    load8(uart + LSR) & lsr::IDLE == 0
}

/// Gives it a character, whether or not there is room.
#[inline(always)]
pub(crate) fn send(uart: u64, byte: u8) {
    store8(uart + DATA, byte);
}

/// Reads a register that has no state to change.
#[inline(always)]
pub(crate) fn status(uart: u64) -> u32 {
    load8(uart + LSR).into()
}
