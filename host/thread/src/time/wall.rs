//! The time of day: nanoseconds since 1970 in UTC, once somebody set it, and the zone for people.

use arch::Nanos;
use atomic::{AtomicI32, AtomicU64, Ordering};

/// When the machine was powered on, in nanoseconds since 1970; 0 when nobody knows.
static POWER_ON: AtomicU64 = AtomicU64::new(0);
/// Minutes east of Greenwich.
static ZONE: AtomicI32 = AtomicI32::new(0);

/// Sets the time of day to `unix_seconds` after the beginning of 1970 in UTC.
pub fn set(unix_seconds: u64) {
    let since_power_on = super::now();
    let power_on = Nanos(unix_seconds.saturating_mul(1_000_000_000)).since(since_power_on);
    POWER_ON.store(power_on.0, Ordering::Relaxed);
}

/// Nanoseconds since the beginning of 1970 in UTC; `None` when nobody set the time of day.
pub fn now() -> Option<u64> {
    let power_on = POWER_ON.load(Ordering::Relaxed);
    (power_on != 0).then(|| power_on.saturating_add(super::now().0))
}

/// Sets the zone to `minutes_east` of Greenwich.
pub fn set_zone(minutes_east: i32) {
    ZONE.store(minutes_east, Ordering::Relaxed);
}

/// Minutes east of Greenwich.
pub fn zone() -> i32 {
    ZONE.load(Ordering::Relaxed)
}
