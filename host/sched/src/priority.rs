//! `priority`: fixed priorities, round robin. The most urgent thread runs, those of one priority in turns of
//! their time slices. Every step takes the same time, however many threads there are.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::Nanos;

use crate::{Contest, Hint, Policy, Priority, Running, Scheduler, Slot, Verdict, Why};

pub(crate) const SCHEDULER: Scheduler = Scheduler {
    name: "priority",
    about: "fixed priorities, round robin among equals",
    make: || Box::new(FixedPriority::new()),
};

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
        SCHEDULER.name
    }

    fn reserve(&mut self, slots: usize) {
        if self.after.len() < slots {
            self.after.resize(slots, None);
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint, _now: Nanos) {
        let Slot(slot) = thread;
        let level = usize::from(hint.priority.get());
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

    fn contest(&mut self, running: Running, _now: Nanos) -> Contest {
        // Nobody ready is less urgent than everybody, and the idle thread is less urgent than anybody.
        let most_urgent = self.ready.checked_ilog2().map_or(-1, i64::from);
        let least = running.slot.map_or(-1, |_| i64::from(running.priority.get()));
        match most_urgent.cmp(&least) {
            core::cmp::Ordering::Less => Verdict::Alone,
            core::cmp::Ordering::Equal if running.slot.is_none() => Verdict::Alone,
            core::cmp::Ordering::Equal => Verdict::Share,
            core::cmp::Ordering::Greater => Verdict::Preempt,
        }
        .lasting()
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

    fn ready(policy: &mut FixedPriority, slot: u32, level: u8, why: Why) {
        policy.ready(Slot(slot), hint(level, why), Nanos(0));
    }

    #[test]
    fn the_most_urgent_comes_first_and_equals_in_their_order() {
        let mut policy = FixedPriority::new();
        policy.reserve(5);
        for (slot, level) in [(0, 1), (1, 7), (2, 3), (3, 7), (4, 1)] {
            ready(&mut policy, slot, level, Why::Woken);
        }
        assert_eq!(order(&mut policy), [1, 3, 2, 0, 4]);
    }

    #[test]
    fn who_was_preempted_comes_before_its_equals() {
        let mut policy = FixedPriority::new();
        policy.reserve(3);
        ready(&mut policy, 0, 2, Why::TurnOver);
        ready(&mut policy, 1, 2, Why::Woken);
        ready(&mut policy, 2, 2, Why::Preempted);
        assert_eq!(order(&mut policy), [2, 0, 1]);
    }

    #[test]
    fn who_is_gone_is_forgotten_wherever_it_stood() {
        for gone in 0..4 {
            let mut policy = FixedPriority::new();
            policy.reserve(4);
            (0..4).for_each(|slot| ready(&mut policy, slot, 2, Why::Woken));
            policy.gone(Slot(gone));
            ready(&mut policy, gone, 2, Why::Woken);
            let mut expected: Vec<u32> = (0..4).filter(|slot| *slot != gone).collect();
            expected.push(gone);
            assert_eq!(order(&mut policy), expected);
        }
    }

    #[test]
    fn a_contest_compares_with_the_most_urgent_one_ready() {
        let mut policy = FixedPriority::new();
        policy.reserve(2);
        let against = |policy: &mut FixedPriority, slot, priority| {
            policy.contest(Running { slot, priority, since: Nanos(0) }, Nanos(0)).verdict
        };
        let one = Some(Slot(1));
        assert_eq!(against(&mut policy, one, Priority::LOWEST), Verdict::Alone);
        assert_eq!(against(&mut policy, None, Priority::LOWEST), Verdict::Alone);
        ready(&mut policy, 0, 3, Why::Woken);
        assert_eq!(against(&mut policy, one, Priority::HIGHEST), Verdict::Alone);
        assert_eq!(against(&mut policy, one, Priority::DEFAULT), Verdict::Share);
        assert_eq!(against(&mut policy, one, Priority::LOWEST), Verdict::Preempt);
        policy.gone(Slot(0));
        ready(&mut policy, 0, 0, Why::Woken);
        assert_eq!(against(&mut policy, None, Priority::LOWEST), Verdict::Preempt);
    }
}
