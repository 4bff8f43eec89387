//! UARTs, published as character devices.

pub(crate) mod cadence;
mod inbox;
pub(crate) mod ns16550;
pub(crate) mod pl011;
mod port;

/// Bytes sent in one go, with interrupts masked: at 32 register accesses that is no longer than the
/// handler of any other interrupt.
const BURST: usize = 32;

/// Puts bytes into a FIFO until it is full; says how many went in.
fn each(bytes: &[u8], is_full: impl Fn() -> bool, put: impl Fn(u8)) -> usize {
    bytes.iter().take_while(|_| !is_full()).map(|byte| put(*byte)).count()
}
