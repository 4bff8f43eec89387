//! Who runs next: scheduling policies, apart from the mechanism that switches (`host_thread`).
//!
//! A policy decides for the threads of one CPU. It only ever sees slot numbers and times, and the mechanism checks
//! each answer: a bad policy can be unfair, never unsound. To add one: a file with a [`Scheduler`], its `mod`
//! line, and a line in [`SCHEDULERS`].
//!
//! *What a policy is told.* A thread is [enrolled](Policy::enrol) with its [`Attributes`] before it runs and
//! whenever they change, and [expelled](Policy::expel) when it ends or moves away. In between the policy hears
//! that it is [ready](Policy::ready), is asked who is [next](Policy::next) and, if it wants to know, how long
//! each one [ran](Policy::ran).
//!
//! *When it is asked.* [`Policy::contest`] compares those who are ready with the one who runs: whenever somebody
//! becomes ready, when another one starts to run, and at the point of time that the last answer named.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod attributes;
mod deadline;
mod monotonic;
mod partition;
mod plan;
mod priority;
mod share;

#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use arch::Nanos;

pub use attributes::{Attributes, Kind, Priority};
pub use plan::{Plan, default};
pub use priority::FixedPriority;

/// Every policy, the default first.
pub const SCHEDULERS: &[&Scheduler] = &[
    &priority::SCHEDULER,
    &monotonic::SCHEDULER,
    &deadline::SCHEDULER,
    &share::SCHEDULER,
    &partition::SCHEDULER,
];

/// A policy that can be chosen by name.
pub struct Scheduler {
    /// Its name, as boot arguments and commands have it.
    pub name: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// Makes one for a CPU.
    pub make: fn() -> Box<dyn Policy>,
}

/// The policy of this name.
pub fn find(name: &str) -> Option<&'static Scheduler> {
    SCHEDULERS.iter().copied().find(|scheduler| scheduler.name == name)
}

/// The end of time.
pub const NEVER: Nanos = Nanos(u64::MAX);

/// The number of a thread among those of its CPU, from 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u32);

/// Why a thread is ready to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It was woken, or is new.
    Woken,
    /// Somebody else took its CPU before its time was over.
    Preempted,
    /// Its time is over, or it gives way.
    TurnOver,
}

/// What a policy is told of a thread that is ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hint {
    /// How urgent it is.
    pub priority: Priority,
    /// Why it is ready.
    pub why: Why,
}

/// Who runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    /// Its slot; `None` for the idle thread, which is in no policy's hands.
    pub slot: Option<Slot>,
    /// How urgent it is.
    pub priority: Priority,
    /// Since when.
    pub since: Nanos,
}

/// What those who are ready mean for the one who runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It may run on.
    Alone,
    /// It may run to the end of its time slice, which the mechanism measures.
    Share,
    /// Somebody else should run at once.
    Preempt,
}

/// The outcome of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contest {
    /// What it means now.
    pub verdict: Verdict,
    /// When to ask again although nobody becomes ready; [`NEVER`] if that changes nothing.
    pub again: Nanos,
}

impl Verdict {
    /// This, until somebody becomes ready.
    #[inline(always)]
    pub const fn lasting(self) -> Contest {
        Contest { verdict: self, again: NEVER }
    }
    /// This, and ask again at `again`.
    pub const fn until(self, again: Nanos) -> Contest {
        Contest { verdict: self, again }
    }
}

/// Why a thread is not taken on: a text that goes on after the thread's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The order in which the threads of one CPU run. Called with interrupts masked and a lock held: no member
/// may allocate but [`Policy::reserve`], and the text of a refusal.
pub trait Policy: Send {
    /// The name by which it was chosen.
    fn name(&self) -> &'static str;
    /// From now on there are slots 0 to `slots` - 1.
    fn reserve(&mut self, slots: usize);
    /// A new thread, or new attributes of one that is known.
    ///
    /// # Errors
    /// It cannot be taken on; everything is as before.
    fn enrol(&mut self, thread: Slot, attributes: &Attributes) -> Result<(), Refused> {
        let _ = (thread, attributes);
        Ok(())
    }
    /// The thread, which is not ready, ended or moved to another CPU.
    fn expel(&mut self, thread: Slot) {
        let _ = thread;
    }
    /// `thread` became ready.
    fn ready(&mut self, thread: Slot, hint: Hint, now: Nanos);
    /// `thread`, which was ready, is not any more.
    fn gone(&mut self, thread: Slot);
    /// Picks who runs next, and forgets it; `None` when nobody may run.
    fn next(&mut self, now: Nanos) -> Option<Slot>;
    /// Compares those who are ready with the one who runs.
    fn contest(&mut self, running: Running, now: Nanos) -> Contest;
    /// Whether the CPU is the running thread's for as long as nobody else becomes ready, so that a guest may
    /// keep it while it waits.
    fn is_empty(&self) -> bool;
    /// Whether [`Policy::ran`] is to be called.
    fn counts_time(&self) -> bool {
        false
    }
    /// `thread` ran from `since` to `now`, and is about to be ready or parked.
    fn ran(&mut self, thread: Slot, since: Nanos, now: Nanos) {
        let _ = (thread, since, now);
    }
    /// What is worth showing of its state: utilisation, budgets. One line without an end.
    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let _ = out;
        Ok(())
    }
}
