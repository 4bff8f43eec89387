//! Lock ranks: debug builds notice a wrong order before it deadlocks.

#[cfg(debug_assertions)]
use arch::IrqsOff;
#[cfg(debug_assertions)]
use atomic::{AtomicU64, Ordering};

#[cfg(debug_assertions)]
use crate::{MAX_CPUS, PerCpu};

/// The order in which locks that spin are taken: while one is held, only those further down may be. What all
/// else stands on is at the end.
///
/// Locks that sleep have none: they are taken before any of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Rank {
    /// All locks that have no rank of their own: no two of them are ever held together.
    Plain,
    /// An end of virtual I/O, between an emulated device and a driver.
    End,
    /// An emulated interrupt controller: whoever moves one of its lines.
    Controller,
    /// A line of waiters: what blocks has one. The condition that is waited for is looked at under it.
    Waiters,
    /// What is to be done by a work queue.
    Work,
    /// When a thread, or a timer, is to be woken.
    Alarm,
    /// The threads and timers of a CPU.
    Roster,
    /// The heap.
    Heap,
    /// The frame allocator.
    Frames,
    /// The log.
    Log,
    /// A host device's registers.
    Registers,
}

/// The ranks that each CPU holds, one bit each.
#[cfg(debug_assertions)]
static HELD: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// Set once a wrong order was found on a CPU: the report takes locks, too.
#[cfg(debug_assertions)]
const REPORTED: u64 = 1 << 63;

/// A lock's rank; nothing at all in release builds.
pub(crate) struct Ranked {
    #[cfg(debug_assertions)]
    rank: Rank,
}

/// What is interrupted may hold locks that say nothing about the order in which the handlers take theirs: it cannot
/// be waited for, as interrupts would be masked then. From here on the CPU holds none, until the value is dropped.
#[must_use]
pub struct Aside {
    #[cfg(debug_assertions)]
    held: u64,
}

impl Aside {
    /// To be made by the entry of interrupts, and dropped before it switches threads.
    #[inline(always)]
    pub fn new() -> Self {
        Self {
            #[cfg(debug_assertions)]
            held: HELD.get(&IrqsOff::now()).swap(0, Ordering::Relaxed),
        }
    }
}

impl Default for Aside {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Aside {
    #[inline(always)]
    fn drop(&mut self) {
        #[cfg(debug_assertions)]
        HELD.get(&IrqsOff::now()).store(self.held, Ordering::Relaxed);
    }
}

#[cfg(debug_assertions)]
impl Ranked {
    pub(crate) const fn new(rank: Rank) -> Self {
        Self { rank }
    }
    /// Before waiting for the lock.
    #[track_caller]
    pub(crate) fn taking(&self) {
        let masked = IrqsOff::now();
        let held = HELD.get(&masked);
        let bits = held.load(Ordering::Relaxed);
        if bits >> self.rank as u8 != 0 && bits & REPORTED == 0 {
            held.store(bits | REPORTED, Ordering::Relaxed);
            let highest =
                ALL.into_iter().rev().find(|rank| bits >> *rank as u8 & 1 != 0).unwrap_or(self.rank);
            panic!("a lock of rank {:?} is taken, and one of rank {highest:?} held", self.rank);
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
        let masked = IrqsOff::now();
        let held = HELD.get(&masked);
        held.store(to(held.load(Ordering::Relaxed), 1 << self.rank as u8), Ordering::Relaxed);
    }
}

/// All ranks, in their order.
#[cfg(debug_assertions)]
pub(crate) const ALL: [Rank; 11] = [
    Rank::Plain,
    Rank::End,
    Rank::Controller,
    Rank::Waiters,
    Rank::Work,
    Rank::Alarm,
    Rank::Roster,
    Rank::Heap,
    Rank::Frames,
    Rank::Log,
    Rank::Registers,
];

#[cfg(not(debug_assertions))]
impl Ranked {
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
