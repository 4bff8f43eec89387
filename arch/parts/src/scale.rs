//! From a counter's ticks to nanoseconds and back, without a division.

use core::sync::atomic::{AtomicU64, Ordering};

use arch_api::Nanos;

/// The scale of a counter of fixed frequency.
#[derive(Debug)]
pub struct Scale {
    /// Nanoseconds per tick, a fraction of 2^32.
    nanos_per_tick: AtomicU64,
    /// Ticks per nanosecond, a fraction of 2^48.
    ticks_per_nano: AtomicU64,
}

impl Scale {
    /// One that is to be set before it is used.
    pub const fn new() -> Self {
        Self { nanos_per_tick: AtomicU64::new(0), ticks_per_nano: AtomicU64::new(0) }
    }

    /// The counter makes `frequency` ticks per second; not zero.
    pub fn set(&self, frequency: u64) {
        let (frequency, second) = (u128::from(frequency.max(1)), 1_000_000_000u128);
        self.nanos_per_tick.store(((second << 32) / frequency) as u64, Ordering::Relaxed);
        self.ticks_per_nano.store(((frequency << 48) / second) as u64, Ordering::Relaxed);
    }

    /// The point at which the counter reads `ticks`, rounded down; the last there is where it lies behind that.
    #[inline]
    pub fn nanos(&self, ticks: u64) -> Nanos {
        let scaled = u128::from(ticks) * u128::from(self.nanos_per_tick.load(Ordering::Relaxed));
        Nanos(u64::try_from(scaled >> 32).unwrap_or(u64::MAX))
    }

    /// What the counter reads at `at`, rounded up, so that what is set to it never comes early.
    #[inline]
    pub fn ticks(&self, at: Nanos) -> u64 {
        let scaled = u128::from(at.0) * u128::from(self.ticks_per_nano.load(Ordering::Relaxed));
        u64::try_from(scaled >> 48).unwrap_or(u64::MAX - 1).saturating_add(1)
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_never_comes_early() {
        for frequency in [1, 1_000, 32_768, 10_000_000, 62_500_000, 1_000_000_000] {
            let scale = Scale::new();
            scale.set(frequency);
            for at in [0u64, 1, 999, 1_000_000_007, 86_400_000_000_000] {
                // 2^-48 of a tick per nanosecond is lost in a day: less than a microsecond.
                let back = scale.nanos(scale.ticks(Nanos(at))).0;
                assert!(back + 1_000 >= at, "{frequency} Hz: {at} came back as {back}");
                assert!(
                    back <= at + 2_000_000_000 / frequency + 2,
                    "{frequency} Hz: {at} came back as {back}"
                );
            }
        }
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        let scale = Scale::new();
        scale.set(10_000_000);
        assert_eq!(scale.nanos(u64::MAX), Nanos(u64::MAX));
        assert!(scale.ticks(Nanos(u64::MAX)) > 0);
    }
}
