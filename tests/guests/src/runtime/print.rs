//! Text on the PL011, polled.

use core::fmt;

use super::machine::machine;
use super::mmio::{load32, store32};

/// Data.
pub(crate) const DR: u64 = 0x00;
/// Flags.
pub(crate) const FR: u64 = 0x18;
/// Line control: 8 bits, FIFOs on.
pub(crate) const LCRH: u64 = 0x2c;
/// Control.
pub(crate) const CR: u64 = 0x30;
/// Receive FIFO empty, in [`FR`].
pub(crate) const RXFE: u32 = 1 << 4;
/// Transmit FIFO full, in [`FR`].
pub(crate) const TXFF: u32 = 1 << 5;
/// UARTEN, TXE and RXE, in [`CR`].
pub(crate) const ENABLED: u32 = 0x301;

/// Makes the UART work as it should, whatever has been done to it.
pub(crate) fn revive() {
    let uart = machine().uart;
    store32(uart + LCRH, 0x70);
    store32(uart + CR, ENABLED);
}

/// Sends one character when there is room.
#[inline(always)]
pub(crate) fn put(uart: u64, byte: u8) {
    while load32(uart + FR) & TXFF != 0 {}
    store32(uart + DR, byte.into());
}

/// Where [`say!`] writes.
pub(crate) struct Uart;

impl fmt::Write for Uart {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let uart = machine().uart;
        for byte in text.bytes() {
            if byte == b'\n' {
                put(uart, b'\r');
            }
            put(uart, byte);
        }
        Ok(())
    }
}

/// Prints a line.
macro_rules! say {
    ($($arguments:tt)*) => {{
        use core::fmt::Write as _;
        // The UART takes everything.
        let _ = writeln!($crate::runtime::print::Uart, $($arguments)*);
    }};
}

pub(crate) use say;
