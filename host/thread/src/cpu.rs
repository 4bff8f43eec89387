//! The mechanism: the threads of each CPU, who runs, and the switch from one to the next.
//!
//! One lock per CPU guards its threads' phases, its policy and its timers. The order of locks: a timer's
//! or a line of waiters', then a CPU's; never two CPUs' at once.
#![expect(unsafe_code, reason = "the switch between threads")]

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos};
use atomic::{Arc, AtomicPtr, AtomicU32, Ordering};
use host_sync::{IrqOff, MAX_CPUS, Once, PerCpu, Spin, SpinGuard};

use crate::control::Control;
use crate::policy::{self, Plan, Policy, Slot, Verdict, Why};
use crate::roster::{Member, Roster};

/// No slot.
const NOBODY: u32 = u32::MAX;

static CPUS: PerCpu<Cpu> = PerCpu::new([const { Cpu::new() }; MAX_CPUS]);
static KICK: Once<fn(CpuId)> = Once::new();
static PLAN: Once<Plan> = Once::new();

/// One CPU.
pub(crate) struct Cpu {
    roster: Spin<Roster, IrqOff>,
    /// Who runs. Null before threads started here.
    current: AtomicPtr<Control>,
    /// The slot of the thread that was just left, if it has ended; [`NOBODY`] otherwise.
    left_an_ended: AtomicU32,
}

pub(crate) type RosterGuard<'a> = SpinGuard<'a, Roster, &'a IrqsOff>;

/// Says which policy each CPU begins with, before threads start there. The first word stays.
pub fn set_plan(plan: Plan) {
    // A second one would be a bug of start-up; the first one goes on working.
    let _ = PLAN.set(plan);
}

/// The policy with which `cpu` begins.
pub(crate) fn planned(cpu: CpuId) -> Box<dyn Policy> {
    (PLAN.get().map_or_else(policy::default, |plan| plan.of(cpu)).make)()
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
    let mut roster = roster(masked);
    roster.contest(Machine::now(), masked);
    roster.set_alarm(masked);
}

/// This CPU's lock.
#[inline(always)]
pub(crate) fn roster(masked: &IrqsOff) -> RosterGuard<'_> {
    CPUS.get(masked).roster.lock_masked(masked)
}

/// The lock of `cpu`.
#[inline(always)]
pub(crate) fn roster_of(cpu: CpuId, masked: &IrqsOff) -> RosterGuard<'_> {
    CPUS.of(cpu).roster.lock_masked(masked)
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
    let mut roster = roster(masked);
    roster.running = first.control.slot;
    roster.priority = first.attributes.priority;
    roster.turn = first.left;
    roster.idle = idle.control.slot;
    let current = Arc::as_ptr(&first.control).cast_mut();
    // There is no policy yet that could refuse, and none refuses a thread of the hypervisor's.
    let _ = roster.adopt(first);
    let _ = roster.adopt(idle);
    let _ = roster.set_policy(&mut Some(policy), Machine::now());
    CPUS.get(masked).current.store(current, Ordering::Release);
}

impl Cpu {
    const fn new() -> Self {
        Self {
            roster: Spin::new(Roster::new()),
            current: AtomicPtr::new(core::ptr::null_mut()),
            left_an_ended: AtomicU32::new(NOBODY),
        }
    }
}

/// Lets the next thread run. `why` says why the running one stays ready; its phase is set otherwise.
/// `roster` is this CPU's.
#[inline(always)]
pub(crate) fn switch(mut roster: RosterGuard<'_>, now: Nanos, why: Option<Why>, masked: &IrqsOff) {
    let cpu = CPUS.get(masked);
    roster.leave(now, why);
    let chosen = roster.choose(now);
    let next = roster.arrive(chosen, now, masked);
    Machine::nesting(masked).others_ready().set(roster.others_ready());
    drop(roster);
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
    let mut roster = roster(masked);
    roster.ended.push(slot);
    let control = roster.member(slot).map(|member| Arc::clone(&member.control));
    drop(roster);
    if let Some(control) = control {
        control.ended.complete();
    }
    if Machine::nesting(masked).resched().get() {
        // Who joined it is more urgent. We are in the middle of a switch: do the next one after it.
        self::roster(masked).alarm_at_once(masked);
    }
}

/// Ends the running thread.
pub(crate) fn end(masked: &IrqsOff) -> ! {
    let cpu = CPUS.get(masked);
    let roster = cpu.roster.lock_masked(masked);
    current(masked).state.end();
    cpu.left_an_ended.store(current(masked).slot.0, Ordering::Relaxed);
    switch(roster, Machine::now(), None, masked);
    unreachable!("a thread that ended ran again")
}

/// Frees what threads that ended on this CPU leave behind: their stacks now, the rest when the last
/// handle of them is gone. From threads only: interrupts must not free memory.
pub(crate) fn bury() {
    while let Some(member) = take_ended() {
        let control = member.control;
        // SAFETY: the thread ended and was left before its slot came into `ended`, and left that once.
        let _stack = unsafe { control.take_stack() };
        let masked = IrqsOff::now();
        crate::time::disarm(&mut control.alarm.lock_masked(&masked), &masked);
        roster(&masked).ghosts.push(control);
    }
    while let Some(control) = take_ghost() {
        drop(control);
    }
}

fn take_ended() -> Option<Member> {
    let masked = IrqsOff::now();
    let mut roster = roster(&masked);
    let slot = roster.ended.pop()?;
    roster.remove(slot)
}

/// A thread that ended and of which nobody has a handle any more.
fn take_ghost() -> Option<Arc<Control>> {
    let masked = IrqsOff::now();
    let mut roster = roster(&masked);
    let forgotten = roster.ghosts.iter().position(|control| Arc::strong_count(control) == 1)?;
    Some(roster.ghosts.swap_remove(forgotten))
}

/// Exchanges the policy of `cpu`: it begins with all who are ready, in no particular order.
///
/// # Errors
/// It does not take on a thread that is there, which the text names; the policy stays what it was.
pub fn set_policy(cpu: CpuId, policy: Box<dyn Policy>) -> Result<(), String> {
    let masked = IrqsOff::now();
    let mut roster = roster_of(cpu, &masked);
    let mut policy = Some(policy);
    let result = roster.set_policy(&mut policy, Machine::now());
    drop(roster);
    look_again(cpu, &masked);
    drop(masked);
    preempt_here();
    drop(policy);
    result.map_err(|(control, why)| format!("{}: {why}", control.name))
}

/// What there is to say of a CPU's policy.
#[derive(Clone, Debug)]
pub struct PolicyState {
    /// The CPU.
    pub cpu: CpuId,
    /// The name by which the policy is chosen.
    pub name: &'static str,
    /// What it shows of itself.
    pub state: String,
    /// How many of its answers were no answers: threads that are not ready. The mechanism does not follow those.
    pub faults: u64,
}

/// The policies of all CPUs.
pub fn policies() -> Vec<PolicyState> {
    let state = |cpu| {
        // Made before the lock is taken, long enough for what policies have to say.
        let mut text = String::with_capacity(256);
        let masked = IrqsOff::now();
        let roster = roster_of(cpu, &masked);
        let name = roster.policy.as_ref().map_or("none", |policy| policy.name());
        // A `String` takes everything.
        let _ = roster.policy.as_ref().map_or(Ok(()), |policy| policy.show(&mut text));
        PolicyState { cpu, name, state: text, faults: roster.faults }
    };
    started().map(state).collect()
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
            roster(&masked).alarm_at_once(&masked);
        }
    } else if nesting.preempt_off().get() == 0 {
        preempt(&masked);
    }
    // Else the last guard against preemption switches.
}

/// Makes a thread ready that was parked and that the caller has left the deciding token.
#[inline(always)]
fn make_ready(control: &Control, masked: &IrqsOff) {
    let mut roster = roster_of(control.home, masked);
    control.state.make_ready();
    let now = Machine::now();
    roster.enlist(control.slot, now);
    if control.home == Machine::id(masked) {
        Machine::nesting(masked).others_ready().set(true);
        roster.contest(now, masked);
        roster.set_alarm(masked);
    } else if roster.contested(now) != Verdict::Alone.lasting() {
        drop(roster);
        kick(control.home);
    }
}

/// A deadline of a thread passed; `roster` is this CPU's.
#[inline(always)]
pub(crate) fn ring<'a>(
    mut roster: RosterGuard<'a>,
    control: &Control,
    now: Nanos,
    masked: &'a IrqsOff,
) -> RosterGuard<'a> {
    if !control.state.leave_token() {
        return roster;
    }
    if control.home == Machine::id(masked) {
        control.state.make_ready();
        roster.enlist(control.slot, now);
        Machine::nesting(masked).others_ready().set(true);
        roster.contest(now, masked);
        return roster;
    }
    drop(roster);
    make_ready(control, masked);
    self::roster(masked)
}

/// Lets a more urgent thread run, or an equal one when the running one's turn is over.
fn preempt(masked: &IrqsOff) {
    let roster = roster(masked);
    let why = if roster.turn_over { Why::TurnOver } else { Why::Preempted };
    switch(roster, Machine::now(), Some(why), masked);
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
