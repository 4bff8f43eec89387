//! The mechanism: the threads of each CPU, who runs, and the switch from one to the next.
//!
//! One lock per CPU guards its threads' phases, its policy and its timers. The order of locks: a timer's
//! or a line of waiters', then a CPU's; never two CPUs' at once.
#![expect(unsafe_code, reason = "the switch between threads")]

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos};
use atomic::{Arc, AtomicPtr, AtomicU32, Ordering};
use host_sync::{IrqOff, MAX_CPUS, Once, PerCpu, Spin, SpinGuard};
use timers::Queue;

use crate::control::{Control, Phase};
use crate::policy::{Contest, Hint, Policy, Priority, Slot, Why};
use crate::time::Due;
use crate::{Kind, Stats};

/// The end of time: no alarm is set that far away.
pub(crate) const NEVER: Nanos = Nanos(u64::MAX);

/// No slot.
const NOBODY: u32 = u32::MAX;

static CPUS: PerCpu<Cpu> = PerCpu::new([const { Cpu::new() }; MAX_CPUS]);
static KICK: Once<fn(CpuId)> = Once::new();

/// One CPU.
pub(crate) struct Cpu {
    core: Spin<Core, IrqOff>,
    /// Who runs. Null before threads started here.
    current: AtomicPtr<Control>,
    /// The slot of the thread that was just left, if it has ended; [`NOBODY`] otherwise.
    left_an_ended: AtomicU32,
}

pub(crate) type CoreGuard<'a> = SpinGuard<'a, Core, &'a IrqsOff>;

/// What the lock of a CPU guards.
pub(crate) struct Core {
    members: Vec<Option<Member>>,
    policy: Option<Box<dyn Policy>>,
    pub(crate) timers: Queue<Due>,
    running: Slot,
    /// How urgent the running thread is.
    priority: Priority,
    /// How long its turn may be, counted from when somebody else waits for it.
    turn: Nanos,
    idle: Slot,
    /// When the running thread's turn is over; [`NEVER`] while nobody waits for it.
    turn_ends: Nanos,
    /// Its turn is over, and the switch could not be made yet.
    turn_over: bool,
    /// What the alarm is set to.
    alarm: Nanos,
    /// Slots of threads that ended, whose stacks are to be freed.
    ended: Vec<Slot>,
    /// Threads that ended, as long as others have handles of them. The count kept here makes sure that
    /// the last one never goes in an interrupt, with the memory to be freed there.
    ghosts: Vec<Arc<Control>>,
    /// Answers of the policy that were no answers.
    faults: u64,
}

/// A thread, as its CPU sees it.
pub(crate) struct Member {
    pub(crate) control: Arc<Control>,
    pub(crate) kind: Kind,
    pub(crate) priority: Priority,
    pub(crate) time_slice: Nanos,
    /// What is left of its turn.
    left: Nanos,
    /// Since when it is in its phase.
    since: Nanos,
    stats: Stats,
}

impl Member {
    pub(crate) fn new(control: Arc<Control>, kind: Kind, priority: Priority, time_slice: Nanos) -> Self {
        let since = Machine::now();
        Self { control, kind, priority, time_slice, left: time_slice, since, stats: Stats::default() }
    }

    fn hint(&self, why: Why) -> Hint {
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

/// Names the function that interrupts another CPU so that it calls [`on_kick`]. The first stays.
pub fn set_kick(kick: fn(CpuId)) {
    // On the development machine, every test of several CPUs says the same again.
    let _ = KICK.set(kick);
}

/// Interrupts another CPU, which then looks who is ready.
fn kick(cpu: CpuId) {
    if let Some(kick) = KICK.get() {
        kick(cpu);
    }
}

/// What the interrupt of [`set_kick`]'s function calls on the CPU that it reaches.
pub fn on_kick(masked: &IrqsOff) {
    let mut core = core(masked);
    core.contest(Machine::now(), masked);
    core.set_alarm(masked);
}

/// This CPU's lock.
#[inline(always)]
pub(crate) fn core(masked: &IrqsOff) -> CoreGuard<'_> {
    CPUS.get(masked).core.lock_masked(masked)
}

/// The lock of `cpu`.
#[inline(always)]
pub(crate) fn core_of(cpu: CpuId, masked: &IrqsOff) -> CoreGuard<'_> {
    CPUS.of(cpu).core.lock_masked(masked)
}

/// The CPUs on which threads started.
pub(crate) fn started() -> impl Iterator<Item = CpuId> {
    let all = (0..MAX_CPUS).filter_map(|number| u32::try_from(number).ok()).map(CpuId);
    all.filter(|cpu| !CPUS.of(*cpu).current.load(Ordering::Acquire).is_null())
}

/// Whether threads started on this CPU.
pub(crate) fn is_started(masked: &IrqsOff) -> bool {
    !CPUS.get(masked).current.load(Ordering::Relaxed).is_null()
}

/// The running thread.
///
/// # Panics
/// When threads have not started on this CPU.
#[inline(always)]
pub(crate) fn current(masked: &IrqsOff) -> &Control {
    let current = CPUS.get(masked).current.load(Ordering::Relaxed);
    // SAFETY: null, or the control of the running thread, of which its CPU holds a count until it ended
    // and was left. Who asks is that thread, and stays on its CPU while the proof lives.
    unsafe { current.as_ref() }.expect("threads have not started on this CPU")
}

/// A count of the running thread.
pub(crate) fn current_counted() -> Arc<Control> {
    let masked = IrqsOff::now();
    let current: *const Control = current(&masked);
    // SAFETY: the pointer came from `Arc::as_ptr`, and the CPU holds a count, as `current` says.
    unsafe {
        Arc::increment_strong_count(current);
        Arc::from_raw(current)
    }
}

/// Makes the flow that runs here, `first`, and the thread `idle`, the threads of this CPU.
pub(crate) fn begin(first: Member, idle: Member, policy: Box<dyn Policy>, masked: &IrqsOff) {
    let mut core = core(masked);
    core.policy = Some(policy);
    core.running = first.control.slot;
    core.idle = idle.control.slot;
    let current = Arc::as_ptr(&first.control).cast_mut();
    core.adopt(first);
    core.adopt(idle);
    CPUS.get(masked).current.store(current, Ordering::Release);
}

impl Cpu {
    const fn new() -> Self {
        Self {
            core: Spin::new(Core {
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
            }),
            current: AtomicPtr::new(core::ptr::null_mut()),
            left_an_ended: AtomicU32::new(NOBODY),
        }
    }
}

impl Core {
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
    fn member_mut(&mut self, slot: Slot) -> Option<&mut Member> {
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

    #[inline(always)]
    fn contested(&self) -> Contest {
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
    fn alarm_at_once(&mut self, masked: &IrqsOff) {
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
    fn choose(&mut self, now: Nanos) -> Slot {
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
    fn leave(&mut self, now: Nanos, why: Option<Why>) {
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
    fn arrive(&mut self, next: Slot, now: Nanos, masked: &IrqsOff) -> Option<*const Control> {
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

/// Lets the next thread run. `why` says why the running one stays ready; its phase is set otherwise.
/// `core` is this CPU's.
#[inline(always)]
pub(crate) fn switch(mut core: CoreGuard<'_>, now: Nanos, why: Option<Why>, masked: &IrqsOff) {
    let cpu = CPUS.get(masked);
    core.leave(now, why);
    let chosen = core.choose(now);
    let next = core.arrive(chosen, now, masked);
    drop(core);
    let from: *const Control = cpu.current.load(Ordering::Relaxed);
    // There is always the idle thread.
    let Some(next) = next.filter(|next| !core::ptr::eq(*next, from)) else { return };
    cpu.current.store(next.cast_mut(), Ordering::Relaxed);
    // SAFETY: both are threads of this CPU, which holds a count of each until it has ended and was left;
    // an ended one is buried after the switch. `next` was claimed: it is ready, so it does not run.
    unsafe { (*from).switch_to(&*next, masked) };
    after_switch(masked);
}

/// What the thread that now runs does for the one that was left.
#[inline(always)]
pub(crate) fn after_switch(masked: &IrqsOff) {
    let left = &CPUS.get(masked).left_an_ended;
    if left.load(Ordering::Relaxed) != NOBODY {
        note_ended(Slot(left.swap(NOBODY, Ordering::Relaxed)), masked);
    }
}

/// The thread at `slot` ended and was left: from now on its stack is nobody's.
#[cold]
fn note_ended(slot: Slot, masked: &IrqsOff) {
    let mut core = core(masked);
    core.ended.push(slot);
    let control = core.member(slot).map(|member| Arc::clone(&member.control));
    drop(core);
    if let Some(control) = control {
        control.ended.complete();
    }
    if Machine::nesting(masked).resched().get() {
        // Who joined it is more urgent. We are in the middle of a switch: do the next one after it.
        self::core(masked).alarm_at_once(masked);
    }
}

/// Ends the running thread.
pub(crate) fn end(masked: &IrqsOff) -> ! {
    let cpu = CPUS.get(masked);
    let core = cpu.core.lock_masked(masked);
    current(masked).state.end();
    cpu.left_an_ended.store(current(masked).slot.0, Ordering::Relaxed);
    switch(core, Machine::now(), None, masked);
    unreachable!("a thread that ended ran again")
}

/// Frees what threads that ended on this CPU leave behind: their stacks now, the rest when the last
/// handle of them is gone. From threads only: interrupts must not free memory.
pub(crate) fn bury() {
    while let Some(member) = take_ended() {
        let control = member.control;
        // SAFETY: the thread ended and was left before its slot came into `ended`, and left that once.
        drop(unsafe { control.take_stack() });
        let masked = IrqsOff::now();
        crate::time::disarm(&mut control.alarm.lock_masked(&masked), &masked);
        core(&masked).ghosts.push(control);
    }
    while let Some(control) = take_ghost() {
        drop(control);
    }
}

fn take_ended() -> Option<Member> {
    let masked = IrqsOff::now();
    let mut core = core(&masked);
    let Slot(slot) = core.ended.pop()?;
    core.members.get_mut(slot as usize)?.take()
}

/// A thread that ended and of which nobody has a handle any more.
fn take_ghost() -> Option<Arc<Control>> {
    let masked = IrqsOff::now();
    let mut core = core(&masked);
    let forgotten = core.ghosts.iter().position(|control| Arc::strong_count(control) == 1)?;
    Some(core.ghosts.swap_remove(forgotten))
}

/// Exchanges the policy of this CPU: it begins with all who are ready, in no particular order.
pub fn set_policy(mut policy: Box<dyn Policy>) {
    let masked = IrqsOff::now();
    let mut core = core(&masked);
    policy.reserve(core.members.len());
    for member in core.members().filter(|member| member.control.slot != core.idle) {
        if member.control.state.get() == Phase::READY {
            policy.ready(member.control.slot, member.hint(Why::Woken));
        }
    }
    let old = core.policy.replace(policy);
    core.contest(Machine::now(), &masked);
    core.set_alarm(&masked);
    drop(core);
    drop(masked);
    drop(old);
    preempt_here();
}

/// The name of this CPU's policy, and how many of its answers were no answers: threads that are not
/// ready. The mechanism does not follow those.
pub fn policy_state() -> (&'static str, u64) {
    let masked = IrqsOff::now();
    let core = core(&masked);
    (core.policy.as_ref().map_or("none", |policy| policy.name()), core.faults)
}

/// Has `cpu` look again who is ready.
pub(crate) fn look_again(cpu: CpuId, masked: &IrqsOff) {
    if cpu == Machine::id(masked) {
        on_kick(masked);
    } else {
        kick(cpu);
    }
}

/// Wakes a thread.
#[inline(always)]
pub(crate) fn wake(control: &Control) {
    if !control.state.leave_token() {
        return;
    }
    let masked = IrqsOff::now();
    make_ready(control, &masked);
    let nesting = Machine::nesting(&masked);
    if !nesting.resched().get() {
        return;
    }
    if nesting.irqs_off() > 1 {
        // The end of this interrupt switches; or, when a thread keeps interrupts masked, the end of one
        // that comes as soon as it does not.
        if nesting.were_on() {
            core(&masked).alarm_at_once(&masked);
        }
    } else if nesting.preempt_off().get() == 0 {
        preempt(&masked);
    }
    // Else the last guard against preemption switches.
}

/// Makes a thread ready that was parked and that the caller has left the deciding token.
#[inline(always)]
fn make_ready(control: &Control, masked: &IrqsOff) {
    let mut core = core_of(control.home, masked);
    control.state.make_ready();
    let now = Machine::now();
    core.enlist(control.slot, now);
    if control.home == Machine::id(masked) {
        core.contest(now, masked);
        core.set_alarm(masked);
    } else if core.contested() != Contest::Alone {
        drop(core);
        kick(control.home);
    }
}

/// A deadline of a thread passed; `core` is this CPU's.
#[inline(always)]
pub(crate) fn ring<'a>(mut core: CoreGuard<'a>, control: &Control, now: Nanos, masked: &'a IrqsOff) -> CoreGuard<'a> {
    if !control.state.leave_token() {
        return core;
    }
    if control.home == Machine::id(masked) {
        control.state.make_ready();
        core.enlist(control.slot, now);
        core.contest(now, masked);
        return core;
    }
    drop(core);
    make_ready(control, masked);
    self::core(masked)
}

/// Lets a more urgent thread run, or an equal one when the running one's turn is over.
fn preempt(masked: &IrqsOff) {
    let core = core(masked);
    let why = if core.turn_over { Why::TurnOver } else { Why::Preempted };
    switch(core, Machine::now(), Some(why), masked);
}

/// Switches threads if a switch was asked for and none of the running thread's guards forbids it. To be
/// called last by the entry of host interrupts, after all were ended.
#[inline(always)]
pub fn preempt_if_asked(masked: &IrqsOff) {
    let nesting = Machine::nesting(masked);
    if nesting.resched().get() && nesting.preempt_off().get() == 0 && nesting.irqs_off() == 1 {
        preempt(masked);
    }
}

/// The same, from a thread.
pub(crate) fn preempt_here() {
    preempt_if_asked(&IrqsOff::now());
}
