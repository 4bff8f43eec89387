//! The mechanism: the threads of each CPU, who runs, and the switch from one to the next.
//!
//! One lock per CPU guards its threads' phases, its policy and its timers. The order of locks: a timer's
//! or a line of waiters', then a CPU's; never two CPUs' at once.
#![expect(unsafe_code, reason = "the switch between threads")]

use alloc::boxed::Box;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos, Processors, Virt};
use atomic::{Arc, AtomicPtr, AtomicU32, Ordering};
use host_sync::{IrqOff, MAX_CPUS, Once, PerCpu, PreemptGuard, Rank, Spin, SpinGuard};

use crate::control::Control;
use crate::member::{Leaves, Member};
use crate::moves;
use crate::phase::Found;
use crate::policy::{Policy, Slot, Verdict, Why};
use crate::roster::Roster;

/// No slot.
const NOBODY: u32 = u32::MAX;

/// Null for those on which threads never started; leaked otherwise.
static CPUS: PerCpu<AtomicPtr<Cpu>> =
    PerCpu::new([const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS]);
/// One more than the highest number among those on which they did.
static KNOWN: AtomicU32 = AtomicU32::new(0);
static KICK: Once<fn(CpuId)> = Once::new();

/// One CPU.
pub(crate) struct Cpu {
    roster: Spin<Roster, IrqOff>,
    /// Who runs. Null before threads started here.
    current: AtomicPtr<Control>,
    /// The slot of the thread that was just left, if it has ended; [`NOBODY`] otherwise.
    left_an_ended: AtomicU32,
    /// The slot of the thread that was just left, if it is to go on elsewhere; [`NOBODY`] otherwise.
    left_a_mover: AtomicU32,
}

pub(crate) type RosterGuard<'a> = SpinGuard<'a, Roster, &'a IrqsOff>;

/// Names the function that interrupts another CPU so that it calls [`on_kick`]. The first stays.
pub fn set_kick(kick: fn(CpuId)) {
    // On the development machine, every test of several CPUs says the same again.
    let _ = KICK.set(kick);
}

/// Interrupts another CPU, which then looks who is ready.
pub(crate) fn kick(cpu: CpuId) {
    if let Some(kick) = KICK.get() {
        kick(cpu);
    }
}

/// What the interrupt of [`set_kick`]'s function calls on the CPU that it reaches.
pub fn on_kick(masked: &IrqsOff) {
    if !is_started(masked) {
        return;
    }
    let mut roster = roster(masked);
    while let Some(slot) = roster.next_mover() {
        drop(roster);
        moves::carry(slot, masked);
        roster = self::roster(masked);
    }
    roster.contest(Machine::now(), masked);
    Machine::nesting(masked).others_ready().set(roster.others_ready());
    roster.set_alarm(masked);
}

/// What there is of `cpu`.
///
/// # Panics
/// When threads never started there.
#[inline(always)]
fn cpu_of(cpu: CpuId) -> &'static Cpu {
    // SAFETY: null or leaked.
    unsafe { CPUS.of(cpu).load(Ordering::Acquire).as_ref() }.expect("threads never started on this CPU")
}

/// What there is of this CPU.
#[inline(always)]
fn this(masked: &IrqsOff) -> &'static Cpu {
    // SAFETY: null or leaked; this CPU itself stored it, or was started after it was.
    unsafe { CPUS.get(masked).load(Ordering::Relaxed).as_ref() }.expect("threads never started on this CPU")
}

/// Makes what there is of `cpu`, if there is nothing yet. Says whether there was nothing.
pub(crate) fn make(cpu: CpuId) -> bool {
    let slot = CPUS.of(cpu);
    let missing = slot.load(Ordering::Acquire).is_null();
    if missing {
        slot.store(Box::leak(Box::new(Cpu::new())), Ordering::Release);
        KNOWN.fetch_max(cpu.0 + 1, Ordering::AcqRel);
    }
    missing
}

/// This CPU's lock.
#[inline(always)]
pub(crate) fn roster(masked: &IrqsOff) -> RosterGuard<'_> {
    this(masked).roster.lock_masked(masked)
}

/// The lock of `cpu`.
#[inline(always)]
pub(crate) fn roster_of(cpu: CpuId, masked: &IrqsOff) -> RosterGuard<'_> {
    cpu_of(cpu).roster.lock_masked(masked)
}

/// The CPU of a thread, its slot there, and that CPU's lock.
#[inline(always)]
pub(crate) fn home<'a>(control: &Control, masked: &'a IrqsOff) -> (CpuId, Slot, RosterGuard<'a>) {
    loop {
        if let Some((cpu, slot)) = control.place.get() {
            let roster = roster_of(cpu, masked);
            if control.place.get() == Some((cpu, slot)) {
                return (cpu, slot, roster);
            }
        }
        // It moves.
        Machine::relax();
    }
}

/// The CPUs of this machine on which threads run.
pub(crate) fn started() -> impl Iterator<Item = CpuId> {
    (0..KNOWN.load(Ordering::Acquire)).map(CpuId).filter(|cpu| {
        // SAFETY: null or leaked.
        let found = unsafe { CPUS.of(*cpu).load(Ordering::Acquire).as_ref() };
        let started = found.is_some_and(|found| !found.current.load(Ordering::Acquire).is_null());
        started && Machine::is_of_this_machine(*cpu)
    })
}

/// Whether threads started on this CPU.
#[inline(always)]
pub(crate) fn is_started(masked: &IrqsOff) -> bool {
    // SAFETY: null or leaked.
    let found = unsafe { CPUS.get(masked).load(Ordering::Relaxed).as_ref() };
    found.is_some_and(|found| !found.current.load(Ordering::Relaxed).is_null())
}

/// Notes who runs on this CPU; nobody once it stops.
pub(crate) fn set_current(control: Option<&Arc<Control>>, masked: &IrqsOff) {
    let current = control.map_or(core::ptr::null_mut(), |control| Arc::as_ptr(control).cast_mut());
    this(masked).current.store(current, Ordering::Release);
}

/// The running thread.
///
/// # Panics
/// When threads have not started on this CPU.
#[inline(always)]
pub(crate) fn current(masked: &IrqsOff) -> &Control {
    let current = this(masked).current.load(Ordering::Relaxed);
    // SAFETY: null, or the control of the running thread, of which its CPU holds a count until it ended
    // and was left. Who asks is that thread, and stays on its CPU while the proof lives.
    unsafe { current.as_ref() }.expect("threads have not started on this CPU")
}

/// A count of the running thread.
pub(crate) fn current_counted() -> Arc<Control> {
    let masked = IrqsOff::now();
    // The pointer itself: from a reference to what is counted the count could not be reached.
    let current = this(&masked).current.load(Ordering::Relaxed).cast_const();
    assert!(!current.is_null(), "threads have not started on this CPU");
    // SAFETY: the pointer came from `Arc::as_ptr`, and the CPU holds a count, as `current` says.
    unsafe {
        Arc::increment_strong_count(current);
        Arc::from_raw(current)
    }
}

/// Makes the flow that runs here, `first`, and the thread `idle`, the threads of this CPU.
pub(crate) fn begin(first: Member, idle: Member, policy: Box<dyn Policy>, masked: &IrqsOff) {
    let control = Arc::clone(&first.control);
    let mut roster = roster(masked);
    roster.running = first.slot();
    roster.priority = first.attributes.priority;
    roster.turn = first.left;
    roster.idle = idle.slot();
    // There is no policy yet that could refuse, and none refuses a thread of the hypervisor's.
    let _ = roster.adopt(first);
    let _ = roster.adopt(idle);
    let _ = roster.set_policy(&mut Some(policy), Machine::now());
    drop(roster);
    set_current(Some(&control), masked);
}

impl Cpu {
    const fn new() -> Self {
        Self {
            roster: Spin::ranked(Roster::new(), Rank::Roster),
            current: AtomicPtr::new(core::ptr::null_mut()),
            left_an_ended: AtomicU32::new(NOBODY),
            left_a_mover: AtomicU32::new(NOBODY),
        }
    }
}

/// Lets the next thread run. `why` says why the running one stays ready; its phase is set otherwise.
/// `roster` is this CPU's. The running thread may come back on another one, if it leaves by itself.
#[inline(always)]
pub(crate) fn switch(
    mut roster: RosterGuard<'_>,
    now: Nanos,
    why: Option<Why>,
    how: Leaves,
    masked: &IrqsOff,
) {
    let cpu = this(masked);
    let left = roster.running;
    if roster.leave(now, why, how) {
        cpu.left_a_mover.store(left.0, Ordering::Relaxed);
    }
    let chosen = roster.choose(now);
    let next = roster.arrive(chosen, now, masked);
    Machine::nesting(masked).others_ready().set(roster.others_ready());
    drop(roster);
    let from: *const Control = cpu.current.load(Ordering::Relaxed);
    // There is always the idle thread.
    let Some(next) = next.filter(|next| !core::ptr::eq(*next, from)) else { return };
    cpu.current.store(next.cast_mut(), Ordering::Relaxed);
    // SAFETY: both are threads of this CPU, which holds a count of each until it has ended and was left;
    // an ended one is buried after the switch, and one that moves is taken away after it. `next` was claimed: it
    // is ready, so it does not run.
    unsafe { Control::switch(from, next, masked) };
    after_switch(masked);
}

/// What the thread that now runs does for the one that was left.
#[inline(always)]
pub(crate) fn after_switch(masked: &IrqsOff) {
    let cpu = this(masked);
    if cpu.left_an_ended.load(Ordering::Relaxed) != NOBODY {
        note_ended(Slot(cpu.left_an_ended.swap(NOBODY, Ordering::Relaxed)), masked);
    }
    if cpu.left_a_mover.load(Ordering::Relaxed) != NOBODY {
        moves::carry(Slot(cpu.left_a_mover.swap(NOBODY, Ordering::Relaxed)), masked);
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
    let cpu = this(masked);
    let mut roster = cpu.roster.lock_masked(masked);
    current(masked).state.end();
    let own = roster.running;
    roster.want(own, None);
    cpu.left_an_ended.store(own.0, Ordering::Relaxed);
    switch(roster, Machine::now(), None, Leaves::ByItself, masked);
    unreachable!("a thread that ended ran again")
}

/// Frees what threads that ended on this CPU leave behind: their stacks now, the rest when the last
/// handle of them is gone. From threads only: interrupts must not free memory.
pub(crate) fn bury() {
    let here = Machine::id(&IrqsOff::now());
    bury_of(here);
}

/// The same for all CPUs.
pub(crate) fn bury_all() {
    started().for_each(bury_of);
}

fn bury_of(cpu: CpuId) {
    loop {
        // Whoever joined the thread waits until its stack is free: not preempted in the middle.
        let _soon = PreemptGuard::new();
        let Some(member) = take_ended(cpu) else { break };
        let control = member.control;
        // SAFETY: the thread ended and was left before its slot came into `ended`, and left that once.
        unsafe { control.free_stack() }
        let masked = IrqsOff::now();
        crate::time::disarm(&mut control.alarm.lock_masked(&masked), &masked);
        roster_of(cpu, &masked).ghosts.push(control);
    }
    while let Some(control) = take_ghost(cpu) {
        drop(control);
    }
}

fn take_ended(cpu: CpuId) -> Option<Member> {
    let masked = IrqsOff::now();
    let mut roster = roster_of(cpu, &masked);
    let slot = roster.ended.pop()?;
    roster.remove(slot)
}

/// A thread that ended and of which nobody has a handle any more.
fn take_ghost(cpu: CpuId) -> Option<Arc<Control>> {
    let masked = IrqsOff::now();
    let mut roster = roster_of(cpu, &masked);
    let forgotten = roster.ghosts.iter().position(|control| Arc::strong_count(control) == 1)?;
    Some(roster.ghosts.swap_remove(forgotten))
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
    match control.state.leave_token() {
        Found::Parked => wake_parked(control),
        Found::Running if control.is_vcpu => call_out(control),
        Found::Running | Found::Other => {}
    }
}

/// Apart, so that who calls a running guest out does not save registers for this.
#[inline(never)]
fn wake_parked(control: &Control) {
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

/// Brings a thread out of its guest, if it runs on another CPU. It was running when it was left its token, and
/// what it is to look at was stored before: so either it looks after that, or it is interrupted.
fn call_out(control: &Control) {
    let masked = IrqsOff::now();
    // While it moves it is out of its guest, and looks before it enters again.
    if let Some((home, _)) = control.place.get()
        && home != Machine::id(&masked)
        && !Machine::call_out(&masked, home)
    {
        kick(home);
    }
}

/// Makes a thread ready that was parked and that the caller has left the deciding token.
#[inline(always)]
fn make_ready(control: &Control, masked: &IrqsOff) {
    let (home, slot, mut roster) = home(control, masked);
    let alone = !roster.others_ready();
    control.state.make_ready();
    let now = Machine::now();
    roster.enlist(slot, now);
    if home == Machine::id(masked) {
        Machine::nesting(masked).others_ready().set(true);
        roster.contest(now, masked);
        roster.set_alarm(masked);
    } else if roster.contested(now) != Verdict::Alone.lasting() || alone {
        // Also when a more urgent one runs alone there: its waits are to be noticed from now on.
        drop(roster);
        kick(home);
    }
}

/// A deadline of a thread passed; `roster` is this CPU's.
///
/// Not a part of the interrupt, whose every timer would pay for the registers that this takes.
#[inline(never)]
pub(crate) fn ring<'a>(
    mut roster: RosterGuard<'a>,
    control: &Control,
    now: Nanos,
    masked: &'a IrqsOff,
) -> RosterGuard<'a> {
    match control.state.leave_token() {
        Found::Parked => {}
        Found::Running if control.is_vcpu => {
            call_out(control);
            return roster;
        }
        Found::Running | Found::Other => return roster,
    }
    if let Some((home, slot)) = control.place.get()
        && home == Machine::id(masked)
    {
        control.state.make_ready();
        roster.enlist(slot, now);
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
    preempt_as(Leaves::Interrupted, masked);
}

fn preempt_as(how: Leaves, masked: &IrqsOff) {
    let roster = roster(masked);
    let why = if roster.turn_over { Why::TurnOver } else { Why::Preempted };
    switch(roster, Machine::now(), Some(why), how, masked);
}

/// Takes the interrupts that are pending, and lets a more urgent thread run if one of them made it ready. The
/// running thread may go on on another CPU: it is in the middle of nothing that is this CPU's, as when it parks.
#[inline(always)]
pub fn take_interrupts(masked: IrqsOff) -> IrqsOff {
    // The interrupt leaves the switch to us.
    Machine::nesting(&masked).preempt_off().set(1);
    drop(masked);
    Machine::take_pending();
    let masked = IrqsOff::now();
    let nesting = Machine::nesting(&masked);
    nesting.preempt_off().set(0);
    if nesting.resched().get() {
        preempt_as(Leaves::ByItself, &masked);
    }
    masked
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
