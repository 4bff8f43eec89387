//! `share`: the CPU in proportion to weights, by virtual time (start-time fair queueing, P. Goyal, X. Guo, H. Vin,
//! OSDI 1996), with caps over a period.
//!
//! Each thread has a virtual time, which advances with the time that it runs, divided by its weight. The thread with
//! the least runs, until it is [`AHEAD`] ahead of the next. Who wakes is set back to no more than that behind
//! those who run: it gets the CPU at once, and does not get the time back that it slept. Since virtual time only
//! advances, nobody starves. Priorities do not count.
//!
//! A cap is a number of hundredths of [`PERIOD`]: a thread that used them up waits for its next period, also
//! while nobody else is there.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use arch::Nanos;
use timers::{Key, Queue};

use crate::{Attributes, Contest, Hint, NEVER, Policy, Refused, Running, Scheduler, Slot, Verdict, Why};

pub(crate) const SCHEDULER: Scheduler = Scheduler {
    name: "share",
    about: "in proportion to weights (virtual time), with caps",
    make: || Box::new(ProportionalShare::default()),
};

/// Over which caps are measured.
pub(crate) const PERIOD: Nanos = Nanos::from_millis(100);
/// How far a thread of the default weight gets ahead of others.
const AHEAD: Nanos = Nanos::from_millis(5);
/// A thread that was chosen runs so long at least.
const SHORTEST: Nanos = Nanos(500_000);
/// What is left of a cap and not worth a switch.
const CRUMB: i64 = 10_000;
/// Virtual time passes so much faster than time does for a thread of weight 1: with weights up to 65 535, a
/// microsecond still counts, and no counter is full within nine years.
const SCALE: u64 = 64;

#[derive(Default)]
struct ProportionalShare {
    /// By virtual time.
    ready: Queue<Slot>,
    /// Those that used up their caps, by the point at which they come back.
    capped: Queue<Slot>,
    threads: Vec<Thread>,
    /// The virtual time of who was chosen last: nobody is far behind.
    floor: u64,
    /// How many threads have a cap.
    caps: u32,
}

#[derive(Clone, Copy, Default)]
struct Thread {
    weight: u32,
    cap: u32,
    virtual_time: u64,
    /// What is left of the cap in this period. Less than nothing when it ran longer than it should have.
    left: i64,
    renews: Nanos,
    place: Place,
}

#[derive(Clone, Copy, Default)]
enum Place {
    #[default]
    None,
    Ready(Key),
    Capped(Key),
}

impl Thread {
    /// By how much its virtual time advances while it runs for `length`.
    fn virtual_length(&self, length: Nanos) -> u64 {
        length.0.saturating_mul(SCALE).div_ceil(u64::from(self.weight.max(1)))
    }

    /// How long it runs until its virtual time has advanced by `length`.
    fn real_length(&self, length: u64) -> Nanos {
        Nanos(length.saturating_mul(u64::from(self.weight.max(1))) / SCALE)
    }

    fn renew(&mut self, now: Nanos) {
        if self.cap > 0 && self.renews <= now {
            self.left = i64::from(self.cap) * (PERIOD.0 / 100) as i64 + self.left.min(0);
            self.renews = now.after(PERIOD);
        }
    }

    fn is_capped(&self) -> bool {
        self.cap > 0 && self.left <= CRUMB
    }

    /// When its cap is used up, if it runs since `since`.
    fn ends(&self, since: Nanos) -> Nanos {
        if self.cap == 0 { NEVER } else { since.after(Nanos(self.left.max(0).unsigned_abs())) }
    }
}

/// [`AHEAD`], as virtual time.
const AHEAD_VIRTUAL: u64 = AHEAD.0 * SCALE / Attributes::WEIGHT as u64;

impl ProportionalShare {
    fn thread(&mut self, slot: Slot) -> Option<&mut Thread> {
        self.threads.get_mut(slot.0 as usize)
    }

    /// Puts a thread that has work into the queue where it belongs. `behind` others that are ready, if it gives way.
    fn place(&mut self, slot: Slot, behind: bool, now: Nanos) {
        let first = self.ready.next_deadline();
        let Some(thread) = self.threads.get_mut(slot.0 as usize) else { return };
        thread.renew(now);
        thread.place = if thread.is_capped() {
            Place::Capped(self.capped.insert(thread.renews.0, slot))
        } else {
            let least = first.filter(|_| behind).unwrap_or(0);
            Place::Ready(self.ready.insert(thread.virtual_time.max(least), slot))
        };
    }

    /// Lets those go on whose periods begin.
    fn promote(&mut self, now: Nanos) {
        while let Some(slot) = self.capped.pop_due(now.0) {
            let floor = self.floor;
            if let Some(thread) = self.thread(slot) {
                thread.virtual_time = thread.virtual_time.max(floor.saturating_sub(AHEAD_VIRTUAL));
            }
            self.place(slot, false, now);
        }
    }
}

impl Policy for ProportionalShare {
    fn name(&self) -> &'static str {
        SCHEDULER.name
    }

    fn reserve(&mut self, slots: usize) {
        if self.threads.len() < slots {
            self.threads.resize(slots, Thread::default());
        }
        self.ready.reserve(slots.saturating_sub(self.ready.len()));
        self.capped.reserve(slots.saturating_sub(self.capped.len()));
    }

    fn enrol(&mut self, thread: Slot, attributes: &Attributes) -> Result<(), Refused> {
        let floor = self.floor;
        if let Some(thread) = self.thread(thread) {
            let had = thread.cap > 0;
            if thread.weight == 0 {
                thread.virtual_time = floor;
            }
            if thread.cap != attributes.cap {
                thread.left = thread.left.min(0);
                thread.renews = Nanos(0);
            }
            thread.weight = attributes.weight;
            thread.cap = attributes.cap;
            self.caps = self.caps + u32::from(attributes.cap > 0) - u32::from(had);
        }
        Ok(())
    }

    fn expel(&mut self, thread: Slot) {
        self.gone(thread);
        if let Some(thread) = self.thread(thread) {
            let had = thread.cap > 0;
            *thread = Thread::default();
            self.caps -= u32::from(had);
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint, now: Nanos) {
        let floor = self.floor;
        if let Some(thread) = self.thread(thread)
            && hint.why == Why::Woken
        {
            thread.virtual_time = thread.virtual_time.max(floor.saturating_sub(AHEAD_VIRTUAL));
        }
        self.place(thread, hint.why == Why::TurnOver, now);
    }

    fn gone(&mut self, thread: Slot) {
        let Some(known) = self.thread(thread) else { return };
        match core::mem::take(&mut known.place) {
            Place::None => {}
            Place::Ready(key) => drop(self.ready.cancel(key)),
            Place::Capped(key) => drop(self.capped.cancel(key)),
        }
    }

    fn next(&mut self, now: Nanos) -> Option<Slot> {
        self.promote(now);
        let slot = self.ready.pop_due(u64::MAX)?;
        let thread = self.thread(slot)?;
        thread.place = Place::None;
        let virtual_time = thread.virtual_time;
        self.floor = self.floor.max(virtual_time);
        Some(slot)
    }

    fn contest(&mut self, running: Running, now: Nanos) -> Contest {
        self.promote(now);
        let first = self.ready.next_deadline();
        let again = self.capped.next_deadline().map_or(NEVER, Nanos);
        let Some(&mut thread) = running.slot.and_then(|slot| self.thread(slot)) else {
            return if first.is_some() { Verdict::Preempt } else { Verdict::Alone }.until(again);
        };
        let again = again.min(thread.ends(running.since));
        if thread.ends(running.since) <= now {
            return Verdict::Preempt.until(again);
        }
        let Some(first) = first else { return Verdict::Alone.until(again) };
        let reached = thread.virtual_time.saturating_add(thread.virtual_length(now.since(running.since)));
        let goal = first.saturating_add(AHEAD_VIRTUAL);
        let earliest = running.since.after(SHORTEST);
        if reached >= goal && earliest <= now {
            return Verdict::Preempt.until(again);
        }
        let ends = now.after(thread.real_length(goal.saturating_sub(reached))).max(earliest);
        Verdict::Alone.until(again.min(ends))
    }

    fn is_empty(&self) -> bool {
        // A guest that waited in place would use up its cap.
        self.ready.is_empty() && self.caps == 0
    }

    fn counts_time(&self) -> bool {
        true
    }

    fn ran(&mut self, thread: Slot, since: Nanos, now: Nanos) {
        let Some(thread) = self.thread(thread) else { return };
        let length = now.since(since);
        thread.virtual_time = thread.virtual_time.saturating_add(thread.virtual_length(length));
        if thread.cap > 0 {
            thread.left = thread.left.saturating_sub(i64::try_from(length.0).unwrap_or(i64::MAX));
        }
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let weights: u64 = self.threads.iter().map(|thread| u64::from(thread.weight)).sum();
        write!(out, "weights sum up to {weights}, {} with a cap", self.caps)
    }
}
