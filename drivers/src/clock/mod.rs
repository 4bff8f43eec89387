//! Timers.

pub(crate) mod armv8_timer;
pub(crate) mod riscv_timer;
