//! The threads of one CPU: who is ready, who runs and for how long, and what the alarm is set to.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos};
use atomic::{Arc, Ordering};
use timers::Queue;

use crate::Stats;
use crate::control::Control;
use crate::member::{Leaves, Member};
use crate::phase::Phase;
use crate::policy::{Attributes, Contest, NEVER, Policy, Priority, Refused, Running, Slot, Verdict, Why};
use crate::time::Due;

/// No policy is asked again by the alarm sooner than this: one that names points that have passed must not take
/// the whole CPU.
const AGAIN: Nanos = Nanos(20_000);

/// How often a thread that is to go on elsewhere is reminded. Much more rarely than an interrupt takes on the slowest
/// machine: else it would be interrupted for ever on its way to where it gives the CPU up.
const REMINDER: Nanos = Nanos::from_millis(1);

/// What the lock of a CPU guards.
pub(crate) struct Roster {
    pub(crate) members: Vec<Option<Member>>,
    pub(crate) policy: Option<Box<dyn Policy>>,
    pub(crate) timers: Queue<Due>,
    pub(crate) running: Slot,
    /// How urgent the running thread is.
    pub(crate) priority: Priority,
    /// Since when it runs.
    since: Nanos,
    /// How long its turn may be, counted from when somebody else waits for it.
    pub(crate) turn: Nanos,
    pub(crate) idle: Slot,
    /// The end of the idle thread's stack.
    pub(crate) idle_top: usize,
    /// When the running thread's turn is over; [`NEVER`] while nobody waits for it.
    pub(crate) turn_ends: Nanos,
    /// Its turn is over, and the switch could not be made yet.
    pub(crate) turn_over: bool,
    /// When the policy wants to be asked again.
    pub(crate) again: Nanos,
    /// Whether the policy wants to know how long each thread ran.
    counts_time: bool,
    /// What the alarm is set to.
    pub(crate) alarm: Nanos,
    /// Slots of threads that ended, whose stacks are to be freed.
    pub(crate) ended: Vec<Slot>,
    /// Threads that ended, as long as others have handles of them. The count kept here makes sure that
    /// the last one never goes in an interrupt, with the memory to be freed there.
    pub(crate) ghosts: Vec<Arc<Control>>,
    /// Answers of the policy that were no answers.
    pub(crate) faults: u64,
    /// How many of the members are to go on on another CPU.
    pub(crate) movers: u32,
    /// No thread comes here any more: the CPU stops.
    pub(crate) closed: bool,
    /// How long threads waited in place here that have gone.
    waited: Nanos,
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
            since: Nanos(0),
            turn: NEVER,
            idle: Slot(1),
            idle_top: 0,
            turn_ends: NEVER,
            turn_over: false,
            again: NEVER,
            counts_time: false,
            alarm: NEVER,
            ended: Vec::new(),
            ghosts: Vec::new(),
            faults: 0,
            movers: 0,
            closed: false,
            waited: Nanos(0),
        }
    }

    /// The slot that the next thread gets.
    pub(crate) fn free_slot(&self) -> Slot {
        let free = self.members.iter().position(Option::is_none).unwrap_or(self.members.len());
        // There is no memory for 2^32 threads.
        Slot(free as u32)
    }

    /// Adds a thread at its slot, and makes room so that nothing it does allocates.
    ///
    /// # Errors
    /// The policy does not take it on. The caller has a count of its control, so that nothing is freed here.
    pub(crate) fn adopt(&mut self, member: Member) -> Result<(), Refused> {
        let slot = member.slot();
        self.admit(slot, &member.attributes)?;
        self.seat(slot, member);
        Ok(())
    }

    /// Makes room for a thread at `slot`, and asks the policy.
    ///
    /// # Errors
    /// The policy does not take it on.
    pub(crate) fn admit(&mut self, slot: Slot, attributes: &Attributes) -> Result<(), Refused> {
        self.make_room(slot.0 as usize + 1);
        match &mut self.policy {
            Some(policy) if slot != self.idle => policy.enrol(slot, attributes),
            _ => Ok(()),
        }
    }

    /// Puts a thread that was admitted at its slot.
    pub(crate) fn seat(&mut self, slot: Slot, mut member: Member) {
        member.waited_elsewhere = member.control.waited_in_place(Machine::now());
        self.movers += u32::from(member.wants.is_some());
        if let Some(place) = self.members.get_mut(slot.0 as usize) {
            *place = Some(member);
        }
    }

    /// Room for slots 0 to `slots` - 1.
    pub(crate) fn make_room(&mut self, slots: usize) {
        let slots = self.members.len().max(slots);
        self.members.resize_with(slots, || None);
        self.ended.reserve(slots - self.ended.len().min(slots));
        self.reserve_timers();
        if let Some(policy) = &mut self.policy {
            policy.reserve(slots);
        }
    }

    /// Room for one thread more than there are.
    pub(crate) fn make_room_for_one(&mut self) {
        self.make_room(self.free_slot().0 as usize + 1);
    }

    /// Says where a thread is to go on.
    pub(crate) fn want(&mut self, slot: Slot, to: Option<CpuId>) {
        let Some(member) = self.members.get_mut(slot.0 as usize).and_then(Option::as_mut) else { return };
        let before = core::mem::replace(&mut member.wants, to).is_some();
        self.movers = self.movers + u32::from(to.is_some()) - u32::from(before);
    }

    /// A thread that is to go on elsewhere, and can.
    pub(crate) fn next_mover(&self) -> Option<Slot> {
        if self.movers == 0 {
            return None;
        }
        self.members().find(|member| member.can_leave()).map(Member::slot)
    }

    /// Whether the running thread is to go on elsewhere.
    pub(crate) fn running_moves(&self) -> bool {
        self.movers != 0 && self.member(self.running).is_some_and(|member| member.wants.is_some())
    }

    /// Takes a thread that ended, or that moves, off the books.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<Member> {
        let ready = self.member(slot).is_some_and(|member| member.control.state.get() == Phase::READY);
        if let Some(policy) = &mut self.policy {
            if ready {
                policy.gone(slot);
            }
            policy.expel(slot);
        }
        let member = self.members.get_mut(slot.0 as usize)?.take()?;
        self.movers -= u32::from(member.wants.is_some());
        self.waited = self.waited.after(member.waited_here(Machine::now()));
        Some(member)
    }

    /// Exchanges the policy for `new`: it begins with all who are ready, in no particular order. What is left in
    /// `new` is to be dropped once the lock is given back.
    ///
    /// # Errors
    /// It does not take on this one of the threads, and the policy stays.
    pub(crate) fn set_policy(
        &mut self,
        new: &mut Option<Box<dyn Policy>>,
        now: Nanos,
    ) -> Result<(), (Arc<Control>, Refused)> {
        let Some(policy) = new else { return Ok(()) };
        policy.reserve(self.members.len());
        for member in self.members().filter(|member| member.slot() != self.idle) {
            policy
                .enrol(member.slot(), &member.attributes)
                .map_err(|why| (Arc::clone(&member.control), why))?;
            if member.control.state.get() == Phase::READY {
                policy.ready(member.slot(), member.hint(Why::Woken), now);
            }
        }
        self.counts_time = policy.counts_time();
        core::mem::swap(&mut self.policy, new);
        Ok(())
    }

    /// Room for a deadline and an alarm of every thread, and for all timers.
    pub(crate) fn reserve_timers(&mut self) {
        let wanted = 2 * self.members.len() + crate::time::timers_made();
        self.timers.reserve(wanted.saturating_sub(self.timers.len()));
    }

    /// How long a thread of this CPU spent in each phase. The CPU also idles while one of its threads waits in place.
    pub(crate) fn stats(&self, member: &Member, now: Nanos) -> Stats {
        let mut stats = member.stats(now);
        if member.slot() == self.idle {
            let waited = self.members().fold(self.waited, |sum, member| sum.after(member.waited_here(now)));
            stats.running = stats.running.after(waited);
            stats.ready = stats.ready.since(waited);
        }
        stats
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
            policy.ready(slot, hint, now);
        }
    }

    /// Tells the policy of a thread that was ready on another CPU.
    pub(crate) fn enlist_moved(&mut self, slot: Slot, now: Nanos) {
        let Some(hint) = self.member(slot).map(|member| member.hint(Why::Woken)) else { return };
        if let Some(policy) = &mut self.policy {
            policy.ready(slot, hint, now);
        }
    }

    /// Gives a thread other attributes.
    ///
    /// # Errors
    /// The policy does not take it on with these; it keeps those that it had.
    pub(crate) fn set_attributes(
        &mut self,
        slot: Slot,
        attributes: Attributes,
        now: Nanos,
    ) -> Result<(), Refused> {
        let is_ready = |member: &Member| member.control.state.get() == Phase::READY;
        let Some(ready) = self.member(slot).map(is_ready) else { return Ok(()) };
        let ready = ready && slot != self.idle;
        let result = match &mut self.policy {
            Some(policy) if slot != self.idle => {
                if ready {
                    policy.gone(slot);
                }
                policy.enrol(slot, &attributes)
            }
            _ => Ok(()),
        };
        let runs = slot == self.running;
        let Some(member) = self.members.get_mut(slot.0 as usize).and_then(Option::as_mut) else {
            return result;
        };
        if result.is_ok() {
            member.attributes = attributes;
            member.left = member.left.min(attributes.time_slice);
            if runs {
                self.priority = attributes.priority;
                self.turn = member.left;
            }
        }
        if let Some(policy) = &mut self.policy
            && ready
        {
            policy.ready(slot, member.hint(Why::Woken), now);
        }
        result
    }

    /// What those who are ready mean for the running thread of this CPU. Asks for a switch when one is
    /// due, and starts its turn when it has to share. `masked` is a proof of this very CPU.
    #[inline(always)]
    pub(crate) fn contest(&mut self, now: Nanos, masked: &IrqsOff) {
        let Contest { verdict, again } = self.contested(now);
        self.again = if again == NEVER { NEVER } else { again.max(now.after(AGAIN)) };
        if self.running_moves() {
            // It is taken away as soon as it gives the CPU up; until then it is reminded.
            Machine::nesting(masked).resched().set(true);
            self.again = now.after(REMINDER);
        }
        match verdict {
            Verdict::Alone => {}
            Verdict::Share => {
                if self.turn_ends == NEVER && !self.turn_over {
                    self.turn_ends = now.after(self.turn);
                }
            }
            Verdict::Preempt => Machine::nesting(masked).resched().set(true),
        }
    }

    /// Whether anybody is ready besides the running thread.
    #[inline(always)]
    pub(crate) fn others_ready(&self) -> bool {
        self.policy.as_ref().is_some_and(|policy| !policy.is_empty())
    }

    #[inline(always)]
    pub(crate) fn contested(&mut self, now: Nanos) -> Contest {
        let slot = (self.running != self.idle).then_some(self.running);
        let running = Running { slot, priority: self.priority, since: self.since };
        match &mut self.policy {
            Some(policy) => policy.contest(running, now),
            None => Verdict::Alone.lasting(),
        }
    }

    /// Sets the alarm to what comes first: a timer, the end of the running thread's turn, or the policy's question.
    #[inline(always)]
    pub(crate) fn set_alarm(&mut self, masked: &IrqsOff) {
        let timer = self.timers.next_deadline().map_or(NEVER, Nanos);
        let at = timer.min(self.turn_ends).min(self.again);
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
        if self.again <= now {
            self.contest(now, masked);
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

    /// The running thread stops running; `why` when it is still ready. Says whether it is to be taken to another
    /// CPU once it was left.
    #[inline(always)]
    pub(crate) fn leave(&mut self, now: Nanos, why: Option<Why>, how: Leaves) -> bool {
        let (running, turn_ends) = (self.running, self.turn_ends);
        let (is_idle, counts_time) = (running == self.idle, self.counts_time);
        let Some(member) = self.members.get_mut(running.0 as usize).and_then(Option::as_mut) else {
            return false;
        };
        member.settled = how == Leaves::ByItself;
        let moves = member.settled && member.wants.is_some();
        member.stats.running = member.stats.running.after(now.since(member.since));
        member.since = now;
        member.left = match why {
            Some(Why::Preempted) if turn_ends != NEVER => turn_ends.since(now),
            _ => member.attributes.time_slice,
        };
        if counts_time
            && !is_idle
            && let Some(policy) = &mut self.policy
        {
            policy.ran(running, self.since, now);
        }
        if let Some(why) = why {
            member.control.state.preempt();
            let hint = member.hint(why);
            if let Some(policy) = &mut self.policy
                && !is_idle
                && !moves
            {
                policy.ready(running, hint, now);
            }
        }
        moves
    }

    /// `next`, which was claimed, starts running. Where it is.
    #[inline(always)]
    pub(crate) fn arrive(&mut self, next: Slot, now: Nanos, masked: &IrqsOff) -> Option<*const Control> {
        let member = self.member_mut(next)?;
        member.stats.ready = member.stats.ready.after(now.since(member.since));
        member.since = now;
        member.stats.switches += 1;
        member.control.waited.store(member.stats.ready.0, Ordering::Relaxed);
        let (control, priority, turn) =
            (Arc::as_ptr(&member.control), member.attributes.priority, member.left);
        self.running = next;
        self.priority = priority;
        self.since = now;
        self.turn = turn;
        self.turn_ends = NEVER;
        self.turn_over = false;
        Machine::nesting(masked).resched().set(false);
        self.contest(now, masked);
        self.set_alarm(masked);
        Some(control)
    }
}
