//! What guests were told of the processors, and rely on: it changes only while nobody does.
//!
//! A processor that comes up has a look at what is told, and may have to take something from it. A guest that is being
//! made meanwhile is told all of it before or all of it after, and its virtual CPUs all the same.

use atomic::{AtomicU32, Ordering};

/// How many rely on it; `CHANGING` while it changes.
#[derive(Debug)]
pub struct Promises(AtomicU32);

const CHANGING: u32 = u32::MAX;

impl Default for Promises {
    fn default() -> Self {
        Self::new()
    }
}

impl Promises {
    /// Nobody relies on it yet.
    #[cfg(not(loom))]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Nobody relies on it yet. The atomics of the model checker cannot be made in constants.
    #[cfg(loom)]
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// One more relies on it, from before it reads anything of it until [`release`](Self::release). Calls `relax` while
    /// it changes.
    pub fn give(&self, mut relax: impl FnMut()) {
        // None while it changes.
        let more = |count: u32| count.checked_add(1);
        while self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, more).is_err() {
            relax();
        }
    }

    /// One who relied on it is gone.
    pub fn release(&self) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    /// Calls `change`, if nobody relies on what it changes. Only one at a time may ask.
    pub fn change<R>(&self, change: impl FnOnce() -> R) -> Option<R> {
        self.0.compare_exchange(0, CHANGING, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let result = change();
        self.0.store(0, Ordering::Release);
        Some(result)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_promised_changes_only_when_nobody_relies_on_it_any_more() {
        let promises = Promises::new();
        assert_eq!(promises.change(|| 1), Some(1));
        promises.give(|| panic!("nothing changes"));
        promises.give(|| panic!("nothing changes"));
        assert_eq!(promises.change(|| panic!("a promise is broken")), None::<()>);
        promises.release();
        assert_eq!(promises.change(|| panic!("a promise is broken")), None::<()>);
        promises.release();
        assert_eq!(promises.change(|| 2), Some(2));
    }
}
