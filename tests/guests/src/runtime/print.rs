//! Text on the console, polled.

use core::fmt;

use super::machine::machine;
use crate::arch::uart;

/// Makes the UART work as it should, whatever has been done to it.
pub(crate) fn revive() {
    uart::revive(machine().uart);
}

/// Sends one character when there is room.
#[inline(always)]
pub(crate) fn put(uart: u64, byte: u8) {
    while uart::is_full(uart) {}
    uart::send(uart, byte);
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
