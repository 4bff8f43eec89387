//! Timers.

pub(crate) mod armv8_timer;
