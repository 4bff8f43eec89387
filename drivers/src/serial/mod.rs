//! UARTs, published as character devices.

pub(crate) mod cadence;
mod inbox;
pub(crate) mod ns16550;
pub(crate) mod pl011;

/// Bytes sent in one go, with interrupts masked: at 32 register accesses that is no longer than the
/// handler of any other interrupt.
const BURST: usize = 32;
