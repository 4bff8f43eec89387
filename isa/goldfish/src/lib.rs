//! The Goldfish real-time clock (android goldfish, "GOLDFISH VIRTUAL HARDWARE", section real-time clock; as QEMU's
//! `goldfish_rtc` has it): nanoseconds since 1970 in 64 bits, read and set by halves, and one alarm. All registers are
//! 32 bits wide.
#![no_std]
#![forbid(unsafe_code)]

/// The time's low half; reading it keeps the high half for the read that follows.
pub const TIME_LOW: u64 = 0x00;
/// The time's high half, as it was when the low half was read; written before the low half, which sets the clock.
pub const TIME_HIGH: u64 = 0x04;
/// The alarm's low half; writing it arms the alarm.
pub const ALARM_LOW: u64 = 0x08;
/// The alarm's high half; written first.
pub const ALARM_HIGH: u64 = 0x0c;
/// Whether the alarm interrupts.
pub const IRQ_ENABLED: u64 = 0x10;
/// Disarms the alarm.
pub const CLEAR_ALARM: u64 = 0x14;
/// Whether the alarm is armed.
pub const ALARM_STATUS: u64 = 0x18;
/// Ends the interrupt.
pub const CLEAR_INTERRUPT: u64 = 0x1c;
/// Bytes of registers.
pub const SIZE: u64 = 0x20;
