//! How long a virtual CPU waited for interrupts while it kept its CPU.
//!
//! Where nobody else is ready, a guest's wait (WFI) does not give the CPU up: the processor itself waits, with the guest
//! in it. Its thread runs meanwhile, and yet the time is idle. The architecture counts it here, and any CPU may read it
//! while the wait lasts.

use atomic::{AtomicU64, Ordering};

use crate::Nanos;

/// In [`Waits`]: a wait has begun and not ended.
const WAITING: u64 = 1 << 63;

/// The time of all waits so far. One word, so that who reads it sees a point of time: the sum in nanoseconds, or, during
/// a wait, the sum less the time at which that began, with the highest bit set. Both are counted modulo 2^63.
#[derive(Debug, Default)]
pub struct Waits(AtomicU64);

impl Waits {
    /// None yet.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A wait begins. For the CPU that waits, and no other.
    #[inline]
    pub fn begin(&self, now: Nanos) {
        let sum = self.0.load(Ordering::Relaxed);
        self.0.store(sum.wrapping_sub(now.0) | WAITING, Ordering::Relaxed);
    }

    /// The wait is over. For the CPU that waited.
    #[inline]
    pub fn end(&self, now: Nanos) {
        let less = self.0.load(Ordering::Relaxed);
        self.0.store(less.wrapping_add(now.0) & !WAITING, Ordering::Relaxed);
    }

    /// Whether it waits right now. For any CPU.
    pub fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Relaxed) & WAITING != 0
    }

    /// The time of all waits until `now`. For any CPU.
    pub fn until(&self, now: Nanos) -> Nanos {
        let word = self.0.load(Ordering::Relaxed);
        if word & WAITING == 0 {
            return Nanos(word);
        }
        let sum = word.wrapping_add(now.0) & !WAITING;
        // A wait that began after `now` was read would take from the sum.
        Nanos(if sum > WAITING / 2 { 0 } else { sum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_counted_while_it_lasts_and_after_it() {
        let waits = Waits::new();
        assert_eq!(waits.until(Nanos(50)), Nanos(0));
        waits.begin(Nanos(100));
        assert!(waits.is_waiting());
        assert_eq!(waits.until(Nanos(130)), Nanos(30));
        waits.end(Nanos(140));
        assert!(!waits.is_waiting());
        assert_eq!(waits.until(Nanos(200)), Nanos(40));
        waits.begin(Nanos(200));
        assert_eq!(waits.until(Nanos(207)), Nanos(47));
        waits.end(Nanos(210));
        assert_eq!(waits.until(Nanos(300)), Nanos(50));
    }

    #[test]
    fn a_wait_that_began_after_the_clock_was_read_is_no_huge_time() {
        let waits = Waits::new();
        waits.begin(Nanos(100));
        assert_eq!(waits.until(Nanos(90)), Nanos(0));
        waits.end(Nanos(1000));
        waits.begin(Nanos(2000));
        assert_eq!(waits.until(Nanos(1990)), Nanos(890));
    }
}
