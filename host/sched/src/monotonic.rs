//! `monotonic`: rate monotonic within each priority (C. L. Liu, J. W. Layland, *Scheduling Algorithms for
//! Multiprogramming in a Hard-Real-Time Environment*, JACM 20(1), 1973). Of the most urgent threads the one with
//! the shortest period runs; those without a period come last. Equal ones take turns of their time slices.
//!
//! Nobody's time is limited: a thread that runs on past its time slice holds up those of longer periods. Of `n`
//! threads that do not, all meet their periods as long as together they ask for no more than n(2^(1/n) - 1) of the
//! CPU; `show` says both. A step costs at most logarithmically many operations in the number of ready threads.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use arch::Nanos;
use timers::{Key, Queue};

use crate::{Attributes, Contest, Hint, Policy, Refused, Running, Scheduler, Slot, Verdict, Why};

pub(crate) const SCHEDULER: Scheduler = Scheduler {
    name: "monotonic",
    about: "rate monotonic: within a priority, the shortest period first",
    make: || Box::new(RateMonotonic::default()),
};

#[derive(Default)]
struct RateMonotonic {
    /// By [`Rank`].
    ready: Queue<Slot>,
    threads: Vec<Thread>,
}

#[derive(Clone, Copy, Default)]
struct Thread {
    period: Option<Nanos>,
    time_slice: Nanos,
    key: Option<Key>,
}

/// Bits of a rank below the priority.
const PERIOD_BITS: u32 = 58;

impl RateMonotonic {
    fn thread(&self, slot: Slot) -> Option<&Thread> {
        self.threads.get(slot.0 as usize)
    }

    /// A number for the order: the more urgent, the less. Its lowest bit is left to whether the thread has had its
    /// turn.
    fn rank(&self, slot: Slot, priority: crate::Priority) -> u64 {
        let longest = (1 << PERIOD_BITS) - 1;
        let period = self.thread(slot).and_then(|thread| thread.period).map_or(longest, |period| period.0);
        let below = u64::from(7 - priority.get());
        ((below << PERIOD_BITS) | period.min(longest)) << 1
    }

    /// Utilisation of those that have a period, in millionths, and how many they are.
    fn utilisation(&self) -> (u64, u32) {
        let periodic = self.threads.iter().filter_map(|thread| Some((thread.period?, thread.time_slice)));
        periodic.fold((0, 0), |(sum, count), (period, slice)| (sum + millionths(slice, period), count + 1))
    }
}

/// `part` of `whole`, in millionths, rounded up.
pub(crate) fn millionths(part: Nanos, whole: Nanos) -> u64 {
    (part.0.saturating_mul(1_000_000)).div_ceil(whole.0.max(1))
}

/// Liu's and Layland's bound for `n` threads, in millionths, rounded down. 69.3 % for very many.
fn bound(n: u32) -> u64 {
    const BOUND: [u64; 9] =
        [1_000_000, 1_000_000, 828_427, 779_763, 756_828, 743_491, 734_772, 728_626, 724_061];
    BOUND.get(n as usize).copied().unwrap_or(693_147)
}

impl Policy for RateMonotonic {
    fn name(&self) -> &'static str {
        SCHEDULER.name
    }

    fn reserve(&mut self, slots: usize) {
        if self.threads.len() < slots {
            self.threads.resize(slots, Thread::default());
        }
        self.ready.reserve(slots.saturating_sub(self.ready.len()));
    }

    fn enrol(&mut self, thread: Slot, attributes: &Attributes) -> Result<(), Refused> {
        if let Some(thread) = self.threads.get_mut(thread.0 as usize) {
            thread.period = attributes.effective_period();
            thread.time_slice = attributes.time_slice;
        }
        Ok(())
    }

    fn expel(&mut self, thread: Slot) {
        self.gone(thread);
        if let Some(thread) = self.threads.get_mut(thread.0 as usize) {
            *thread = Thread::default();
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint, _now: Nanos) {
        let behind = u64::from(hint.why != Why::Preempted);
        let rank = self.rank(thread, hint.priority) | behind;
        if let Some(known) = self.threads.get_mut(thread.0 as usize) {
            known.key = Some(self.ready.insert(rank, thread));
        }
    }

    fn gone(&mut self, thread: Slot) {
        let key = self.threads.get_mut(thread.0 as usize).and_then(|thread| thread.key.take());
        key.map(|key| self.ready.cancel(key));
    }

    fn next(&mut self, _now: Nanos) -> Option<Slot> {
        let slot = self.ready.pop_due(u64::MAX)?;
        if let Some(thread) = self.threads.get_mut(slot.0 as usize) {
            thread.key = None;
        }
        Some(slot)
    }

    fn contest(&mut self, running: Running, _now: Nanos) -> Contest {
        let verdict = match (self.ready.next_deadline(), running.slot) {
            (None, _) => Verdict::Alone,
            (Some(_), None) => Verdict::Preempt,
            (Some(first), Some(slot)) => match (first & !1).cmp(&self.rank(slot, running.priority)) {
                core::cmp::Ordering::Less => Verdict::Preempt,
                core::cmp::Ordering::Equal => Verdict::Share,
                core::cmp::Ordering::Greater => Verdict::Alone,
            },
        };
        verdict.lasting()
    }

    fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let (asked, count) = self.utilisation();
        write!(out, "{count} periodic, asking for {}", Percent(asked))?;
        write!(out, " of the CPU; all are in time below {}", Percent(bound(count)))
    }
}

/// Millionths, as a percentage with one decimal.
pub(crate) struct Percent(pub(crate) u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0.saturating_add(500) / 1000;
        write!(f, "{}.{} %", tenths / 10, tenths % 10)
    }
}
