//! Time, in ticks of the counter.

use super::timer::{frequency, now};

/// Ticks of the counter in `ns` nanoseconds.
pub(crate) fn ticks(ns: u64) -> u64 {
    (u128::from(ns) * u128::from(frequency()) / 1_000_000_000) as u64
}

/// Nanoseconds in so many ticks.
pub(crate) fn nanoseconds(ticks: u64) -> u64 {
    (u128::from(ticks) * 1_000_000_000 / u128::from(frequency())) as u64
}

/// Waits for `condition`, no longer than `ns` nanoseconds; returns whether it came.
pub(crate) fn within(ns: u64, condition: impl Fn() -> bool) -> bool {
    let end = now() + ticks(ns);
    while now() < end {
        if condition() {
            return true;
        }
    }
    condition()
}
