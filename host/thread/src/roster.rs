//! The threads of one CPU: who is ready, who runs and for how long, and what the alarm is set to.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{Clock, Cpu as _, IrqsOff, Machine, Nanos};
use atomic::Arc;
use timers::Queue;

use crate::control::{Control, Phase};
use crate::policy::{Contest, Hint, Policy, Priority, Slot, Why};
use crate::time::Due;
use crate::{Kind, Stats};

/// The end of time: no alarm is set that far away.
pub(crate) const NEVER: Nanos = Nanos(u64::MAX);

/// What the lock of a CPU guards.
pub(crate) struct Roster {
    pub(crate) members: Vec<Option<Member>>,
    pub(crate) policy: Option<Box<dyn Policy>>,
    pub(crate) timers: Queue<Due>,
    pub(crate) running: Slot,
    /// How urgent the running thread is.
    pub(crate) priority: Priority,
    /// How long its turn may be, counted from when somebody else waits for it.
    pub(crate) turn: Nanos,
    pub(crate) idle: Slot,
    /// When the running thread's turn is over; [`NEVER`] while nobody waits for it.
    pub(crate) turn_ends: Nanos,
    /// Its turn is over, and the switch could not be made yet.
    pub(crate) turn_over: bool,
    /// What the alarm is set to.
    pub(crate) alarm: Nanos,
    /// Slots of threads that ended, whose stacks are to be freed.
    pub(crate) ended: Vec<Slot>,
    /// Threads that ended, as long as others have handles of them. The count kept here makes sure that
    /// the last one never goes in an interrupt, with the memory to be freed there.
    pub(crate) ghosts: Vec<Arc<Control>>,
    /// Answers of the policy that were no answers.
    pub(crate) faults: u64,
}

/// A thread, as its CPU sees it.
pub(crate) struct Member {
    pub(crate) control: Arc<Control>,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) time_slice: Nanos,
    /// What is left of its turn.
    pub(crate) left: Nanos,
    /// Since when it is in its phase.
    since: Nanos,
    stats: Stats,
}

impl Member {
    pub(crate) fn new(control: Arc<Control>, kind: Kind, priority: Priority, time_slice: Nanos) -> Self {
        let since = Machine::now();
        Self { control, kind, priority, time_slice, left: time_slice, since, stats: Stats::default() }
    }

    pub(crate) fn hint(&self, why: Why) -> Hint {
        Hint { priority: self.priority, why }
    }

    /// How long it spent in each phase, this one included.
    pub(crate) fn stats(&self, now: Nanos) -> Stats {
        let mut stats = self.stats;
        let here = now.since(self.since);
        let sum = match self.control.state.get() {
            Phase::RUNNING => &mut stats.running,
            Phase::READY => &mut stats.ready,
            Phase::PARKED => &mut stats.parked,
            _ => return stats,
        };
        *sum = sum.after(here);
        stats
    }
}

impl Roster {
    /// That of a CPU on which threads have not started.
    pub(crate) const fn new() -> Self {
        Self {
            members: Vec::new(),
            policy: None,
            timers: Queue::new(),
            running: Slot(0),
            priority: Priority::DEFAULT,
            turn: NEVER,
            idle: Slot(1),
            turn_ends: NEVER,
            turn_over: false,
            alarm: NEVER,
            ended: Vec::new(),
            ghosts: Vec::new(),
            faults: 0,
        }
    }

    /// The slot that the next thread gets.
    pub(crate) fn free_slot(&self) -> Slot {
        let free = self.members.iter().position(Option::is_none).unwrap_or(self.members.len());
        // There is no memory for 2^32 threads.
        Slot(free as u32)
    }

    /// Adds a thread at its slot, and makes room so that nothing it does allocates.
    pub(crate) fn adopt(&mut self, member: Member) {
        let Slot(slot) = member.control.slot;
        let slots = self.members.len().max(slot as usize + 1);
        self.members.resize_with(slots, || None);
        self.ended.reserve(slots - self.ended.len().min(slots));
        self.reserve_timers();
        if let Some(policy) = &mut self.policy {
            policy.reserve(slots);
        }
        if let Some(place) = self.members.get_mut(slot as usize) {
            *place = Some(member);
        }
    }

    /// Room for a deadline and an alarm of every thread, and for all timers.
    pub(crate) fn reserve_timers(&mut self) {
        let wanted = 2 * self.members.len() + crate::time::timers_made();
        self.timers.reserve(wanted.saturating_sub(self.timers.len()));
    }

    pub(crate) fn member(&self, slot: Slot) -> Option<&Member> {
        self.members.get(slot.0 as usize)?.as_ref()
    }

    pub(crate) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flatten()
    }

    #[inline(always)]
    pub(crate) fn member_mut(&mut self, slot: Slot) -> Option<&mut Member> {
        self.members.get_mut(slot.0 as usize)?.as_mut()
    }

    /// Tells the policy that a new or woken thread is ready.
    #[inline(always)]
    pub(crate) fn enlist(&mut self, slot: Slot, now: Nanos) {
        let Some(member) = self.members.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        member.stats.parked = member.stats.parked.after(now.since(member.since));
        member.since = now;
        let hint = member.hint(Why::Woken);
        if let Some(policy) = &mut self.policy {
            policy.ready(slot, hint);
        }
    }

    pub(crate) fn set_priority(&mut self, slot: Slot, priority: Priority) {
        let Some(member) = self.member_mut(slot) else { return };
        member.priority = priority;
        if slot == self.running {
            self.priority = priority;
        }
        let Some(member) = self.member(slot) else { return };
        let ready = member.control.state.get() == Phase::READY;
        let hint = member.hint(Why::Woken);
        if let Some(policy) = &mut self.policy
            && ready
            && slot != self.idle
        {
            policy.gone(slot);
            policy.ready(slot, hint);
        }
    }

    /// What those who are ready mean for the running thread of this CPU. Asks for a switch when one is
    /// due, and starts its turn when it has to share. `masked` is a proof of this very CPU.
    #[inline(always)]
    pub(crate) fn contest(&mut self, now: Nanos, masked: &IrqsOff) {
        match self.contested() {
            Contest::Alone => {}
            Contest::Share => {
                if self.turn_ends == NEVER && !self.turn_over {
                    self.turn_ends = now.after(self.turn);
                }
            }
            Contest::Preempt => Machine::nesting(masked).resched().set(true),
        }
    }

    /// Whether anybody is ready besides the running thread.
    #[inline(always)]
    pub(crate) fn others_ready(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| !policy.is_empty())
    }

    #[inline(always)]
    pub(crate) fn contested(&self) -> Contest {
        let Some(policy) = &self.policy else { return Contest::Alone };
        if self.running == self.idle {
            // Anybody at all is more urgent than nobody.
            return match policy.contest(Priority::LOWEST) {
                Contest::Alone => Contest::Alone,
                Contest::Share | Contest::Preempt => Contest::Preempt,
            };
        }
        policy.contest(self.priority)
    }

    /// Sets the alarm to what comes first: a timer, or the end of the running thread's turn.
    #[inline(always)]
    pub(crate) fn set_alarm(&mut self, masked: &IrqsOff) {
        let timer = self.timers.next_deadline().map_or(NEVER, Nanos);
        let at = timer.min(self.turn_ends);
        if at != self.alarm {
            self.alarm = at;
            Machine::alarm(masked, (at != NEVER).then_some(at));
        }
    }

    /// An interrupt at once, as soon as interrupts come back.
    pub(crate) fn alarm_at_once(&mut self, masked: &IrqsOff) {
        self.alarm = Nanos(0);
        Machine::alarm(masked, Some(Nanos(0)));
    }

    /// The alarm rang: it has to be set again, and the running thread's turn may be over.
    #[inline(always)]
    pub(crate) fn alarm_rang(&mut self, now: Nanos, masked: &IrqsOff) {
        self.alarm = Nanos(0);
        if self.turn_ends <= now {
            self.turn_ends = NEVER;
            self.turn_over = true;
            Machine::nesting(masked).resched().set(true);
        }
    }

    /// Who runs next: the policy's answer, when it is one.
    #[inline(always)]
    pub(crate) fn choose(&mut self, now: Nanos) -> Slot {
        let mut tries = self.members.len();
        while let Some(slot) = self.policy.as_mut().and_then(|policy| policy.next(now)) {
            if slot != self.idle && self.member(slot).is_some_and(|member| member.control.state.claim()) {
                return slot;
            }
            self.faults += 1;
            if tries == 0 {
                break;
            }
            tries -= 1;
        }
        if let Some(idle) = self.member(self.idle) {
            idle.control.state.claim();
        }
        self.idle
    }

    /// The running thread stops running; `why` when it is still ready.
    #[inline(always)]
    pub(crate) fn leave(&mut self, now: Nanos, why: Option<Why>) {
        let (running, turn_ends) = (self.running, self.turn_ends);
        let is_idle = running == self.idle;
        let Some(member) = self.member_mut(running) else { return };
        member.stats.running = member.stats.running.after(now.since(member.since));
        member.since = now;
        member.left = match why {
            Some(Why::Preempted) if turn_ends != NEVER => turn_ends.since(now),
            _ => member.time_slice,
        };
        if let Some(why) = why {
            member.control.state.preempt();
            let hint = member.hint(why);
            if let Some(policy) = &mut self.policy
                && !is_idle
            {
                policy.ready(running, hint);
            }
        }
    }

    /// `next`, which was claimed, starts running. Where it is.
    #[inline(always)]
    pub(crate) fn arrive(&mut self, next: Slot, now: Nanos, masked: &IrqsOff) -> Option<*const Control> {
        let member = self.member_mut(next)?;
        member.stats.ready = member.stats.ready.after(now.since(member.since));
        member.since = now;
        member.stats.switches += 1;
        let (control, priority, turn) = (Arc::as_ptr(&member.control), member.priority, member.left);
        self.running = next;
        self.priority = priority;
        self.turn = turn;
        self.turn_ends = NEVER;
        self.turn_over = false;
        Machine::nesting(masked).resched().set(false);
        self.contest(now, masked);
        self.set_alarm(masked);
        Some(control)
    }
}
