//! The flag of a lock that spins: who sets it has the lock.
#![forbid(unsafe_code)]

use atomic::{AtomicBool, Ordering};

/// Set while somebody has the lock.
#[derive(Debug)]
pub(crate) struct Flag(AtomicBool);

impl Flag {
    /// Nobody has it.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Nobody has it. The atomics of the model checker cannot be made in constants.
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Takes it if nobody has it.
    #[inline(always)]
    pub(crate) fn try_take(&self) -> bool {
        !self.0.swap(true, Ordering::Acquire)
    }

    /// Takes it; calls `relax` again and again while somebody else has it.
    #[inline(always)]
    pub(crate) fn take(&self, relax: fn()) {
        if self.0.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.contend(relax);
        }
    }

    #[cold]
    #[inline(never)]
    fn contend(&self, relax: fn()) {
        loop {
            // Looks before it asks for the line exclusively, so that the holder is not disturbed.
            while self.0.load(Ordering::Relaxed) {
                relax();
            }
            if self.0.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Gives it back.
    #[inline(always)]
    pub(crate) fn give(&self) {
        self.0.store(false, Ordering::Release);
    }
}
