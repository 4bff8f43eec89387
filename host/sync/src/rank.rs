//! Lock ranks: debug builds notice a wrong order before it deadlocks.

#[cfg(debug_assertions)]
use arch::IrqsOff;
#[cfg(debug_assertions)]
use atomic::{AtomicU64, Ordering};

#[cfg(debug_assertions)]
use crate::{MAX_CPUS, PerCpu};

/// The place of a lock in the order in which locks are taken, 1 to 63: higher ones later.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank(u8);

impl Rank {
    /// The rank `n`.
    ///
    /// # Panics
    /// When `n` is not 1 to 63; in constants, at compile time.
    pub const fn new(n: u8) -> Self {
        assert!(n >= 1 && n <= 63, "ranks are 1 to 63");
        Self(n)
    }
}

/// The ranks that each CPU holds, one bit each.
#[cfg(debug_assertions)]
static HELD: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// A lock's rank, or none; nothing at all in release builds.
pub(crate) struct Ranked {
    #[cfg(debug_assertions)]
    rank: u8,
}

#[cfg(debug_assertions)]
impl Ranked {
    pub(crate) const NONE: Self = Self { rank: 0 };
    pub(crate) const fn new(rank: Rank) -> Self {
        Self { rank: rank.0 }
    }
    /// Before waiting for the lock.
    #[track_caller]
    pub(crate) fn taking(&self) {
        if self.rank != 0 {
            let held = HELD.get(&IrqsOff::now()).load(Ordering::Relaxed);
            let highest = 63 - held.leading_zeros().min(63);
            assert!(
                held >> self.rank == 0,
                "a lock of rank {} is taken, and one of rank {highest} held",
                self.rank
            );
        }
    }
    /// The lock is held.
    pub(crate) fn took(&self) {
        self.change(|held, bit| held | bit);
    }
    /// The lock is about to be given back.
    pub(crate) fn gave(&self) {
        self.change(|held, bit| held & !bit);
    }
    fn change(&self, to: impl Fn(u64, u64) -> u64) {
        if self.rank != 0 {
            let masked = IrqsOff::now();
            let held = HELD.get(&masked);
            held.store(to(held.load(Ordering::Relaxed), 1 << self.rank), Ordering::Relaxed);
        }
    }
}

#[cfg(not(debug_assertions))]
impl Ranked {
    pub(crate) const NONE: Self = Self {};
    pub(crate) const fn new(_: Rank) -> Self {
        Self {}
    }
    #[inline(always)]
    pub(crate) fn taking(&self) {}
    #[inline(always)]
    pub(crate) fn took(&self) {}
    #[inline(always)]
    pub(crate) fn gave(&self) {}
}
