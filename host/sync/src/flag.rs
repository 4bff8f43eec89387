//! The flag of a lock that spins: who sets it has the lock.
#![forbid(unsafe_code)]

use atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;
const TAKEN: u32 = 1;

/// Set while somebody has the lock. A word, although it is a bit: not every processor swaps less (RISC-V's take eight
/// instructions instead of one for a byte).
#[derive(Debug)]
pub(crate) struct Flag(AtomicU32);

impl Flag {
    /// Nobody has it.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Nobody has it. The atomics of the model checker cannot be made in constants.
    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(FREE))
    }

    /// Takes it if nobody has it.
    #[inline(always)]
    pub(crate) fn try_take(&self) -> bool {
        self.0.swap(TAKEN, Ordering::Acquire) == FREE
    }

    /// Takes it; calls `relax` again and again while somebody else has it.
    #[inline(always)]
    pub(crate) fn take(&self, relax: fn()) {
        if self.0.compare_exchange_weak(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_err() {
            self.contend(relax);
        }
    }

    #[cold]
    #[inline(never)]
    fn contend(&self, relax: fn()) {
        loop {
            // Looks before it asks for the line exclusively, so that the holder is not disturbed.
            while self.0.load(Ordering::Relaxed) == TAKEN {
                relax();
            }
            if self.0.compare_exchange_weak(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return;
            }
        }
    }

    /// Gives it back.
    #[inline(always)]
    pub(crate) fn give(&self) {
        self.0.store(FREE, Ordering::Release);
    }
}
