//! The PL011 (DDI 0183).

use super::mmio::{load32, store32};

/// Data.
pub(crate) const DR: u64 = 0x00;
/// Flags.
pub(crate) const FR: u64 = 0x18;
/// Line control: 8 bits, FIFOs on.
pub(crate) const LCRH: u64 = 0x2c;
/// Control.
pub(crate) const CR: u64 = 0x30;
/// BUSY, in [`FR`].
const BUSY: u32 = 1 << 3;
/// Receive FIFO empty, in [`FR`].
pub(crate) const RXFE: u32 = 1 << 4;
/// Transmit FIFO full, in [`FR`].
const TXFF: u32 = 1 << 5;
/// UARTEN, TXE and RXE, in [`CR`].
pub(crate) const ENABLED: u32 = 0x301;

/// Makes it work as it should.
pub(crate) fn revive(uart: u64) {
    store32(uart + LCRH, 0x70);
    store32(uart + CR, ENABLED);
}

/// Whether there is no room for a character.
#[inline(always)]
pub(crate) fn is_full(uart: u64) -> bool {
    load32(uart + FR) & TXFF != 0
}

/// Whether a character is not out yet.
#[inline(always)]
pub(crate) fn is_busy(uart: u64) -> bool {
    load32(uart + FR) & BUSY != 0
}

/// Gives it a character, whether or not there is room.
#[inline(always)]
pub(crate) fn send(uart: u64, byte: u8) {
    store32(uart, byte.into());
}

/// Reads a register that has no state to change.
#[inline(always)]
pub(crate) fn status(uart: u64) -> u32 {
    load32(uart + FR)
}
