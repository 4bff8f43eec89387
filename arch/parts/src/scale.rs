//! From a counter's ticks to nanoseconds and back, without a division.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use arch_api::Nanos;

/// The scale of a counter of fixed frequency.
#[derive(Debug)]
pub struct Scale {
    /// Of one unit in the other: how often and how far.
    nanos: Factor,
    ticks: Factor,
}

/// A factor, so that the product is the upper half of one multiplication.
#[derive(Debug)]
struct Factor {
    /// What is multiplied is shifted to the left by so much,
    shift: AtomicU32,
    /// and by this, a fraction of 2^(64 - shift): it is as large as it can be.
    fraction: AtomicU64,
}

impl Factor {
    const fn new() -> Self {
        Self { shift: AtomicU32::new(0), fraction: AtomicU64::new(0) }
    }

    /// `numerator` / `denominator`, rounded down; neither is zero.
    fn set(&self, numerator: u64, denominator: u64) {
        let fits = |shift: &u32| numerator >> shift < denominator;
        let shift = (0..64).find(fits).unwrap_or(63);
        let fraction = (u128::from(numerator) << (64 - shift)) / u128::from(denominator);
        self.fraction.store(u64::try_from(fraction).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.shift.store(shift, Ordering::Relaxed);
    }

    /// The largest value whose product is one.
    #[inline]
    fn last(&self) -> u64 {
        u64::MAX >> self.shift.load(Ordering::Relaxed)
    }

    /// The product, rounded down, of a value that is no larger than [`Factor::last`].
    #[inline]
    fn times(&self, value: u64) -> u64 {
        let shifted = u128::from(value << self.shift.load(Ordering::Relaxed));
        ((shifted * u128::from(self.fraction.load(Ordering::Relaxed))) >> 64) as u64
    }
}

impl Scale {
    /// One that is to be set before it is used.
    pub const fn new() -> Self {
        Self { nanos: Factor::new(), ticks: Factor::new() }
    }

    /// The counter makes `frequency` ticks per second; not zero.
    pub fn set(&self, frequency: u64) {
        let (frequency, second) = (frequency.max(1), 1_000_000_000);
        self.nanos.set(second, frequency);
        self.ticks.set(frequency, second);
    }

    /// The same as [`Scale::nanos`] of what the counter was just read, which is never the last there is.
    #[inline]
    pub fn now(&self, ticks: u64) -> Nanos {
        Nanos(self.nanos.times(ticks))
    }

    /// The point at which the counter reads `ticks`, rounded down; the last there is where it lies behind that.
    #[inline]
    pub fn nanos(&self, ticks: u64) -> Nanos {
        if ticks > self.nanos.last() { Nanos(u64::MAX) } else { self.now(ticks) }
    }

    /// What the counter reads at `at`, rounded up, so that what is set to it never comes early.
    #[inline]
    pub fn ticks(&self, at: Nanos) -> u64 {
        self.ticks.times(at.0.min(self.ticks.last())).saturating_add(1)
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
    fn a_day_is_a_day() {
        const DAY: u64 = 86_400;
        for frequency in [1, 3, 32_768, 10_000_000, 19_200_000, 62_500_000, 999_999_999, 3_200_000_007] {
            let scale = Scale::new();
            scale.set(frequency);
            let nanos = scale.now(DAY * frequency).0;
            assert!(
                (DAY * 1_000_000_000 - 2..=DAY * 1_000_000_000).contains(&nanos),
                "{frequency} Hz: {nanos}"
            );
        }
    }

    #[test]
    fn the_end_of_time_is_no_overflow() {
        for frequency in [1, 10_000_000, 1_000_000_000, 5_000_000_000] {
            let scale = Scale::new();
            scale.set(frequency);
            let end = if frequency <= 1_000_000_000 { u64::MAX } else { u64::MAX / 5 - 5 };
            assert!(scale.nanos(u64::MAX).0 >= end, "{frequency} Hz");
            assert!(scale.ticks(Nanos(u64::MAX)) >= scale.ticks(Nanos(u64::MAX >> 3)), "{frequency} Hz");
        }
    }
}
