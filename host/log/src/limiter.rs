//! How much a guest may cause to be said.

use core::fmt;

use arch::{Clock, Machine, Nanos};
use atomic::{AtomicU32, AtomicU64, Ordering};

use crate::{Level, write};

/// Whether a line may be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allowed {
    /// Yes; `dropped` lines were not said since the last one that was.
    Yes {
        /// How many were dropped.
        dropped: u32,
    },
    /// No; it was counted as dropped.
    No,
}

/// Lets a few lines through at once and then one more every so often. One for each guest: what one
/// guest causes must not hide what another does.
///
/// It is a leaky bucket in one number, the time at which the bucket will be empty again ("generic cell
/// rate algorithm", ITU-T I.371): no lock, any context.
#[derive(Debug)]
pub struct Limiter {
    interval: u64,
    depth: u64,
    empty_at: AtomicU64,
    dropped: AtomicU32,
}

impl Limiter {
    /// Allows `burst` lines at once (at least one), and one more every `millis` milliseconds.
    pub const fn new(burst: u32, millis: u32) -> Self {
        let interval = millis as u64 * 1_000_000;
        let burst = if burst == 0 { 1 } else { burst as u64 };
        Self {
            interval,
            depth: interval.saturating_mul(burst),
            empty_at: AtomicU64::new(0),
            dropped: AtomicU32::new(0),
        }
    }

    /// Asks for one line at the time `now`.
    pub fn allow(&self, now: Nanos) -> Allowed {
        let limit = now.0.saturating_add(self.depth);
        let taken = self.empty_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |empty_at| {
            let next = empty_at.max(now.0).saturating_add(self.interval);
            (next <= limit).then_some(next)
        });
        match taken {
            Ok(_) => Allowed::Yes { dropped: self.dropped.swap(0, Ordering::Relaxed) },
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                Allowed::No
            }
        }
    }

    /// Says a line if it may be said, and how many could not be since the last one.
    pub fn write(&self, level: Level, text: fmt::Arguments<'_>) {
        match self.allow(Machine::now()) {
            Allowed::Yes { dropped: 0 } => write(level, text),
            Allowed::Yes { dropped } => {
                write(level, format_args!("{text} ({dropped} lines before it were dropped)"))
            }
            Allowed::No => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_one_line_an_interval() {
        let limiter = Limiter::new(3, 1);
        let now = Nanos(5_000_000);
        for _ in 0..3 {
            assert_eq!(limiter.allow(now), Allowed::Yes { dropped: 0 });
        }
        assert_eq!(limiter.allow(now), Allowed::No);
        assert_eq!(limiter.allow(Nanos(5_999_999)), Allowed::No);
        assert_eq!(limiter.allow(Nanos(6_000_000)), Allowed::Yes { dropped: 2 });
        assert_eq!(limiter.allow(Nanos(6_000_000)), Allowed::No);
    }

    #[test]
    fn a_long_silence_earns_no_more_than_one_burst() {
        let limiter = Limiter::new(2, 1);
        let late = Nanos(u64::MAX / 2);
        assert_eq!(limiter.allow(late), Allowed::Yes { dropped: 0 });
        assert_eq!(limiter.allow(late), Allowed::Yes { dropped: 0 });
        assert_eq!(limiter.allow(late), Allowed::No);
    }
}
