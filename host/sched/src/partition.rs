//! `partition`: the CPU belongs to one virtual CPU. It runs until it waits, and no timer of ours interrupts it: there
//! are no turns. A second virtual CPU is refused. Threads of the hypervisor that are at home here (a timer or an
//! errand of this very guest, at most) come first, by fixed priorities, and are gone as soon as they have nothing to
//! do.

use alloc::boxed::Box;
use core::fmt;

use arch::Nanos;

use crate::{
    Attributes, Contest, FixedPriority, Hint, Kind, Policy, Refused, Running, Scheduler, Slot, Verdict,
};

pub(crate) const SCHEDULER: Scheduler = Scheduler {
    name: "partition",
    about: "static: the CPU belongs to one vCPU, without turns",
    make: || Box::new(Partition::default()),
};

#[derive(Default)]
struct Partition {
    owner: Option<Slot>,
    owner_ready: bool,
    others: FixedPriority,
}

impl Policy for Partition {
    fn name(&self) -> &'static str {
        SCHEDULER.name
    }

    fn reserve(&mut self, slots: usize) {
        self.others.reserve(slots);
    }

    fn enrol(&mut self, thread: Slot, attributes: &Attributes) -> Result<(), Refused> {
        if attributes.kind != Kind::Vcpu {
            return Ok(());
        }
        if self.owner.is_some_and(|owner| owner != thread) {
            return Err(Refused("the CPU belongs to another vCPU".into()));
        }
        self.owner = Some(thread);
        Ok(())
    }

    fn expel(&mut self, thread: Slot) {
        self.gone(thread);
        if self.owner == Some(thread) {
            self.owner = None;
        }
    }

    fn ready(&mut self, thread: Slot, hint: Hint, now: Nanos) {
        if self.owner == Some(thread) {
            self.owner_ready = true;
        } else {
            self.others.ready(thread, hint, now);
        }
    }

    fn gone(&mut self, thread: Slot) {
        if self.owner == Some(thread) {
            self.owner_ready = false;
        } else {
            self.others.gone(thread);
        }
    }

    fn next(&mut self, now: Nanos) -> Option<Slot> {
        let other = self.others.next(now);
        other.or_else(|| self.owner.filter(|_| core::mem::take(&mut self.owner_ready)))
    }

    fn contest(&mut self, running: Running, now: Nanos) -> Contest {
        let owner_runs = running.slot.is_some() && running.slot == self.owner;
        if owner_runs || running.slot.is_none() {
            let any = !self.others.is_empty() || (self.owner_ready && !owner_runs);
            return if any { Verdict::Preempt } else { Verdict::Alone }.lasting();
        }
        self.others.contest(running, now)
    }

    fn is_empty(&self) -> bool {
        self.others.is_empty() && !self.owner_ready
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        out.write_str(if self.owner.is_some() { "taken by a vCPU" } else { "free for a vCPU" })
    }
}
