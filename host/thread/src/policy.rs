//! Who runs next: policies, apart from the mechanism that switches.
//!
//! A policy only ever sees slot numbers. The mechanism checks each answer: a bad policy can be unfair,
//! never unsound.
#![forbid(unsafe_code)]

use alloc::vec::Vec;

use arch::Nanos;

/// The number of a thread among those of its CPU, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u32);

/// How urgent a thread is: 0 to 7, higher ones first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Priority(u8);

impl Priority {
    /// How many there are.
    pub const COUNT: usize = 8;
    /// For what may wait for all else.
    pub const LOWEST: Self = Self(0);
    /// For threads that say nothing else.
    pub const DEFAULT: Self = Self(3);
    /// For what must not wait.
    pub const HIGHEST: Self = Self(7);

    /// Priority `level`; `None` above 7.
    pub const fn new(level: u8) -> Option<Self> {
        if level as usize >= Self::COUNT { None } else { Some(Self(level)) }
    }
    /// The number, 0 to 7.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl core::fmt::Display for Priority {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// Why a thread is ready to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It was woken, or is new.
    Woken,
    /// A more urgent one took its CPU.
    Preempted,
    /// Its time is over, or it gives way.
    TurnOver,
}

/// What a policy is told of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    /// How urgent it is.
    pub priority: Priority,
    /// Why it is ready.
    pub why: Why,
}

/// What those who are ready mean for the one who runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Contest {
    /// It may run as long as it likes.
    Alone,
    /// It may run to the end of its time slice.
    Share,
    /// Somebody else should run at once.
    Preempt,
}

/// The order in which the threads of one CPU run. Called with interrupts masked and a lock held: no
/// member may allocate but [`Policy::reserve`].
pub trait Policy: Send {
    /// A name for people.
    fn name(&self) -> &'static str;
    /// From now on there are slots 0 to `slots` - 1.
    fn reserve(&mut self, slots: usize);
    /// `thread` became ready.
    fn ready(&mut self, thread: Slot, hint: Hint);
    /// `thread`, which was ready, is not any more.
    fn gone(&mut self, thread: Slot);
    /// Picks who runs next, and forgets it; `None` when nobody is ready.
    fn next(&mut self, now: Nanos) -> Option<Slot>;
    /// Compares those who are ready with one of `priority` who runs.
    fn contest(&self, running: Priority) -> Contest;
    /// Whether nobody is ready.
    fn is_empty(&self) -> bool;
}

/// Fixed priorities: the most urgent thread runs, those of one priority in turn.
#[derive(Default)]
pub struct FixedPriority {
    /// Bit `n` is set while somebody of priority `n` is ready.
    ready: u8,
    lines: [Line; Priority::COUNT],
    /// Who comes after each slot in its line.
    after: Vec<Option<u32>>,
}

/// Those of one priority, in their order; empty when its bit is clear.
#[derive(Clone, Copy, Default)]
struct Line {
    first: u32,
    last: u32,
}

impl FixedPriority {
    /// With nobody ready.
    pub const fn new() -> Self {
        Self { ready: 0, lines: [Line { first: 0, last: 0 }; Priority::COUNT], after: Vec::new() }
    }

    /// Takes `slot` out of the line `level`, if it stands there.
    fn take_out(&mut self, level: usize, slot: u32) -> bool {
        let Some(line) = self.lines.get_mut(level).filter(|_| self.ready & (1 << level) != 0) else {
            return false;
        };
        let mut before = None;
        let mut at = Some(line.first);
        while let Some(here) = at {
            let next = self.after.get(here as usize).copied().flatten();
            if here == slot {
                match (before, next) {
                    (None, None) => self.ready &= !(1 << level),
                    (None, Some(next)) => line.first = next,
                    (Some(before), _) => {
                        if let Some(after) = self.after.get_mut(before as usize) {
                            *after = next;
                        }
                        if next.is_none() {
                            line.last = before;
                        }
                    }
                }
                return true;
            }
            before = at;
            at = next;
        }
        false
    }
}

impl Policy for FixedPriority {
    fn name(&self) -> &'static str {
        "fixed priorities, round robin"
    }

    fn reserve(&mut self, slots: usize) {
        if self.after.len() < slots {
            self.after.resize(slots, None);
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint) {
        let Slot(slot) = thread;
        let level = usize::from(hint.priority.0);
        let bit = 1 << level;
        let (Some(line), Some(after)) = (self.lines.get_mut(level), self.after.get_mut(slot as usize)) else {
            return;
        };
        *after = None;
        if self.ready & bit == 0 {
            self.ready |= bit;
            *line = Line { first: slot, last: slot };
        } else if hint.why == Why::Preempted {
            // It has not had its turn yet.
            *after = Some(line.first);
            line.first = slot;
        } else {
            let last = core::mem::replace(&mut line.last, slot);
            if let Some(after) = self.after.get_mut(last as usize) {
                *after = Some(slot);
            }
        }
    }

    fn gone(&mut self, thread: Slot) {
        let _ = (0..Priority::COUNT).any(|level| self.take_out(level, thread.0));
    }

    fn next(&mut self, _now: Nanos) -> Option<Slot> {
        let level = self.ready.checked_ilog2()?;
        let line = self.lines.get_mut(level as usize)?;
        let slot = line.first;
        match self.after.get(slot as usize).copied().flatten() {
            Some(next) => line.first = next,
            None => self.ready &= !(1 << level),
        }
        Some(Slot(slot))
    }

    fn is_empty(&self) -> bool {
        self.ready == 0
    }

    fn contest(&self, running: Priority) -> Contest {
        // Nobody ready is less urgent than everybody.
        let most_urgent = self.ready.checked_ilog2().map_or(-1, i64::from);
        match most_urgent.cmp(&i64::from(running.0)) {
            core::cmp::Ordering::Less => Contest::Alone,
            core::cmp::Ordering::Equal => Contest::Share,
            core::cmp::Ordering::Greater => Contest::Preempt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hint(level: u8, why: Why) -> Hint {
        Hint { priority: Priority::new(level).unwrap(), why }
    }

    fn order(policy: &mut FixedPriority) -> Vec<u32> {
        core::iter::from_fn(|| policy.next(Nanos(0))).map(|slot| slot.0).collect()
    }

    #[test]
    fn the_most_urgent_comes_first_and_equals_in_their_order() {
        let mut policy = FixedPriority::new();
        policy.reserve(5);
        for (slot, level) in [(0, 1), (1, 7), (2, 3), (3, 7), (4, 1)] {
            policy.ready(Slot(slot), hint(level, Why::Woken));
        }
        assert_eq!(order(&mut policy), [1, 3, 2, 0, 4]);
    }

    #[test]
    fn who_was_preempted_comes_before_its_equals() {
        let mut policy = FixedPriority::new();
        policy.reserve(3);
        policy.ready(Slot(0), hint(2, Why::TurnOver));
        policy.ready(Slot(1), hint(2, Why::Woken));
        policy.ready(Slot(2), hint(2, Why::Preempted));
        assert_eq!(order(&mut policy), [2, 0, 1]);
    }

    #[test]
    fn who_is_gone_is_forgotten_wherever_it_stood() {
        for gone in 0..4 {
            let mut policy = FixedPriority::new();
            policy.reserve(4);
            (0..4).for_each(|slot| policy.ready(Slot(slot), hint(2, Why::Woken)));
            policy.gone(Slot(gone));
            policy.ready(Slot(gone), hint(2, Why::Woken));
            let mut expected: Vec<u32> = (0..4).filter(|slot| *slot != gone).collect();
            expected.push(gone);
            assert_eq!(order(&mut policy), expected);
        }
    }

    #[test]
    fn a_contest_compares_with_the_most_urgent_one_ready() {
        let mut policy = FixedPriority::new();
        policy.reserve(1);
        assert_eq!(policy.contest(Priority::LOWEST), Contest::Alone);
        policy.ready(Slot(0), hint(3, Why::Woken));
        assert_eq!(policy.contest(Priority::HIGHEST), Contest::Alone);
        assert_eq!(policy.contest(Priority::DEFAULT), Contest::Share);
        assert_eq!(policy.contest(Priority::LOWEST), Contest::Preempt);
    }
}
