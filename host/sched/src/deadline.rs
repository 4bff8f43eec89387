//! `deadline`: earliest deadline first, with admission control and budgets (EDF: C. L. Liu, J. W. Layland, JACM
//! 20(1), 1973; budgets: L. Abeni, G. Buttazzo, *Integrating Multimedia Applications in Hard Real-Time Systems*,
//! RTSS 1998, with hard reservations).
//!
//! A thread that says a period or a deadline is *guaranteed* its time slice in every period, before its deadline.
//! It is taken on only if the density of all, the sum of time slice / min(deadline, period), stays below
//! [`LIMIT`]; then every deadline is met. What keeps this true when a thread asks for more than it said is its
//! budget: once that is used up, the thread waits for its next period, also while nobody else is there.
//!
//! All others, the hypervisor's own threads among them, are the *background*: they run while nobody guaranteed is
//! ready, by fixed priorities. What the limit leaves free is theirs, so they do not starve.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use arch::Nanos;
use timers::{Key, Queue};

use crate::monotonic::{Percent, millionths};
use crate::{
    Attributes, Contest, FixedPriority, Hint, NEVER, Policy, Refused, Running, Scheduler, Slot, Verdict, Why,
};

pub(crate) const SCHEDULER: Scheduler = Scheduler {
    name: "deadline",
    about: "earliest deadline first, with admission control and budgets",
    make: || Box::new(EarliestDeadline::default()),
};

/// The density that can be admitted, in millionths of a CPU.
pub(crate) const LIMIT: u64 = 950_000;

#[derive(Default)]
struct EarliestDeadline {
    /// Guaranteed and ready, by deadline.
    ready: Queue<Slot>,
    /// Guaranteed, with work to do and no budget left, by the point at which it comes back.
    spent: Queue<Slot>,
    background: FixedPriority,
    /// `None` for those of the background.
    threads: Vec<Option<Guaranteed>>,
}

/// A thread with a guarantee.
#[derive(Clone, Copy)]
struct Guaranteed {
    budget: Nanos,
    deadline: Nanos,
    period: Nanos,
    /// What is left of the budget. Less than nothing when it ran longer than it should have.
    left: i64,
    /// By when the work of this period must be done.
    due: Nanos,
    /// When the budget comes back.
    renews: Nanos,
    place: Place,
}

/// In which queue it stands.
#[derive(Clone, Copy)]
enum Place {
    None,
    Ready(Key),
    Spent(Key),
}

impl Guaranteed {
    /// That of a thread which says a period or a deadline.
    fn new(attributes: &Attributes) -> Option<Self> {
        let period = attributes.effective_period()?;
        let deadline = attributes.effective_deadline()?.min(period);
        let (left, due, renews) = (0, Nanos(0), Nanos(0));
        Some(Self { budget: attributes.time_slice, deadline, period, left, due, renews, place: Place::None })
    }

    fn density(&self) -> u64 {
        millionths(self.budget, self.deadline)
    }

    /// A period begins at `at`. Time that was taken too much before is missing now.
    fn renew(&mut self, at: Nanos) {
        self.left = signed(self.budget.0).saturating_add(self.left.min(0));
        self.due = at.after(self.deadline);
        self.renews = at.after(self.period);
    }

    /// It has work again.
    fn woken(&mut self, now: Nanos) {
        if self.renews <= now {
            self.renew(now);
        } else if self.due <= now {
            // The time to do it in this period has passed.
            self.left = self.left.min(0);
        } else {
            // No more than what it could still claim without asking for more than its density.
            let laxity = self.due.since(now);
            let fair = u128::from(self.budget.0) * u128::from(laxity.0) / u128::from(self.deadline.0.max(1));
            self.left = self.left.min(i64::try_from(fair).unwrap_or(i64::MAX));
        }
    }

    fn is_spent(&self) -> bool {
        // However little is left may be what it still needs.
        self.left <= 0
    }
}

fn signed(length: u64) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

impl EarliestDeadline {
    fn guaranteed(&mut self, slot: Slot) -> Option<&mut Guaranteed> {
        self.threads.get_mut(slot.0 as usize)?.as_mut()
    }

    /// Puts a thread that has work into the queue where it belongs.
    fn place(&mut self, slot: Slot) {
        let Some(thread) = self.threads.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        thread.place = if thread.is_spent() {
            Place::Spent(self.spent.insert(thread.renews.0, slot))
        } else {
            Place::Ready(self.ready.insert(thread.due.0, slot))
        };
    }

    /// Gives those their budgets whose periods begin.
    fn promote(&mut self, now: Nanos) {
        while let Some(slot) = self.spent.pop_due(now.0) {
            if let Some(thread) = self.guaranteed(slot) {
                // Periods follow each other without a gap, unless a whole one was missed.
                let begins = thread.renews;
                thread.renew(if begins.after(thread.period) <= now { now } else { begins });
                self.place(slot);
            }
        }
    }

    fn density(&self) -> u64 {
        self.threads.iter().flatten().map(Guaranteed::density).sum()
    }
}

impl Policy for EarliestDeadline {
    fn name(&self) -> &'static str {
        SCHEDULER.name
    }

    fn reserve(&mut self, slots: usize) {
        if self.threads.len() < slots {
            self.threads.resize(slots, None);
        }
        self.ready.reserve(slots.saturating_sub(self.ready.len()));
        self.spent.reserve(slots.saturating_sub(self.spent.len()));
        self.background.reserve(slots);
    }

    fn enrol(&mut self, thread: Slot, attributes: &Attributes) -> Result<(), Refused> {
        let wanted = Guaranteed::new(attributes);
        let before = self.threads.get(thread.0 as usize).copied().flatten();
        if let Some(wanted) = &wanted {
            let others = self.density().saturating_sub(before.map_or(0, |before| before.density()));
            let all = others.saturating_add(wanted.density());
            if all > LIMIT {
                return Err(Refused(format!(
                    "a density of {} (time slice {} µs in {} µs) beside {} that are admitted is {} above the limit of {}",
                    Percent(wanted.density()),
                    wanted.budget.0 / 1000,
                    wanted.deadline.0 / 1000,
                    Percent(others),
                    Percent(all - LIMIT),
                    Percent(LIMIT)
                )));
            }
        }
        if let Some(place) = self.threads.get_mut(thread.0 as usize) {
            // A new guarantee does not bring back a budget that was used up.
            *place = match (wanted, before) {
                (Some(new), Some(old)) => {
                    Some(Guaranteed { left: old.left, due: old.due, renews: old.renews, ..new })
                }
                (new, _) => new,
            };
        }
        Ok(())
    }

    fn expel(&mut self, thread: Slot) {
        self.gone(thread);
        if let Some(place) = self.threads.get_mut(thread.0 as usize) {
            *place = None;
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint, now: Nanos) {
        match self.guaranteed(thread) {
            None => self.background.ready(thread, hint, now),
            Some(guaranteed) => {
                if hint.why == Why::Woken {
                    guaranteed.woken(now);
                }
                self.place(thread);
            }
        }
    }

    fn gone(&mut self, thread: Slot) {
        let Some(guaranteed) = self.guaranteed(thread) else { return self.background.gone(thread) };
        match core::mem::replace(&mut guaranteed.place, Place::None) {
            Place::None => {}
            Place::Ready(key) => drop(self.ready.cancel(key)),
            Place::Spent(key) => drop(self.spent.cancel(key)),
        }
    }

    fn next(&mut self, now: Nanos) -> Option<Slot> {
        self.promote(now);
        let Some(slot) = self.ready.pop_due(u64::MAX) else { return self.background.next(now) };
        if let Some(thread) = self.guaranteed(slot) {
            thread.place = Place::None;
        }
        Some(slot)
    }

    fn contest(&mut self, running: Running, now: Nanos) -> Contest {
        self.promote(now);
        let first = self.ready.next_deadline();
        let again = self.spent.next_deadline().map_or(NEVER, Nanos);
        let Some(slot) = running.slot else {
            let any = first.is_some() || !self.background.is_empty();
            return if any { Verdict::Preempt } else { Verdict::Alone }.until(again);
        };
        let Some(&mut thread) = self.guaranteed(slot) else {
            let among = self.background.contest(running, now).verdict;
            return if first.is_some() { Verdict::Preempt } else { among }.until(again);
        };
        let ends = running.since.after(Nanos(thread.left.max(0).unsigned_abs()));
        let verdict = if ends <= now || first.is_some_and(|first| first < thread.due.0) {
            Verdict::Preempt
        } else {
            Verdict::Alone
        };
        verdict.until(again.min(ends))
    }

    fn is_empty(&self) -> bool {
        // A guest that waited in place would use up its budget.
        self.threads.iter().all(Option::is_none) && self.background.is_empty()
    }

    fn counts_time(&self) -> bool {
        true
    }

    fn ran(&mut self, thread: Slot, since: Nanos, now: Nanos) {
        if let Some(thread) = self.guaranteed(thread) {
            thread.left = thread.left.saturating_sub(signed(now.since(since).0));
        }
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let count = self.threads.iter().flatten().count();
        write!(out, "{count} guaranteed, density {} of at most {}", Percent(self.density()), Percent(LIMIT))
    }
}
