//! Threads, as everybody sees them.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

use arch::{Clock, Context, Cpu, CpuId, IrqsOff, Machine, Nanos, Saved, Waits};
use atomic::{Arc, AtomicU64, Ordering};
use host_sync::might_sleep;

use crate::control::{Body, Control, Parts};
use crate::member::{Leaves, Member};
use crate::phase::Phase;
use crate::policy::{Attributes, Kind, Priority, Refused, Slot, Why};
use crate::roster::Roster;
use crate::stack::Stack;
use crate::time::{self, Due};
use crate::{CpuSet, cpu, moves, plan};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A thread's number; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ThreadId(pub u64);

/// What a new thread is like.
#[derive(Clone, Debug)]
pub struct Options {
    /// A name for people.
    pub name: String,
    /// Bytes of its stack.
    pub stack: usize,
    /// How it is scheduled.
    pub attributes: Attributes,
    /// Where it may run.
    pub affinity: CpuSet,
    /// Where it counts how long it waits without giving its CPU up, if it does.
    pub waits: Option<Arc<Waits>>,
}

impl Options {
    /// Bytes of a stack that suits most threads.
    pub const STACK: usize = 32 << 10;

    /// A system thread of the default priority.
    pub fn new(name: impl Into<String>) -> Self {
        let attributes = Attributes::new(Kind::System);
        Self { name: name.into(), stack: Self::STACK, attributes, affinity: CpuSet::ALL, waits: None }
    }
    /// With this priority.
    pub fn priority(self, priority: Priority) -> Self {
        Self { attributes: Attributes { priority, ..self.attributes }, ..self }
    }
    /// With a stack of so many bytes.
    pub fn stack(self, stack: usize) -> Self {
        Self { stack, ..self }
    }
    /// With this time slice.
    pub fn time_slice(self, time_slice: Nanos) -> Self {
        Self { attributes: Attributes { time_slice, ..self.attributes }, ..self }
    }
    /// For this purpose.
    pub fn kind(self, kind: Kind) -> Self {
        Self { attributes: Attributes { kind, ..self.attributes }, ..self }
    }
    /// On one of these CPUs.
    pub fn affinity(self, affinity: CpuSet) -> Self {
        Self { affinity, ..self }
    }
    /// With waits in place that are counted here: they are no work, neither of it nor of its CPU.
    pub fn waits(self, waits: Arc<Waits>) -> Self {
        Self { waits: Some(waits), ..self }
    }
    /// Scheduled like this.
    pub fn attributes(self, attributes: Attributes) -> Self {
        Self { attributes, ..self }
    }
}

/// Why a thread was not made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SpawnError {
    /// There is no memory for its stack.
    NoMemory,
    /// The policy of its CPU does not take it on.
    Refused(CpuId, Refused),
    /// None of the CPUs on which it may run is online: their set, as it is printed.
    NotOnline(String),
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoMemory => f.write_str("no memory for a thread's stack"),
            Self::Refused(cpu, why) => write!(f, "{cpu} does not take it on: {why}"),
            Self::NotOnline(set) => write!(f, "none of the CPUs {set} is online"),
        }
    }
}

/// What a thread is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It runs.
    Running,
    /// It would run if it had a CPU.
    Ready,
    /// It waits to be woken; or, without giving its CPU up, for an interrupt.
    Parked,
    /// It will not run again.
    Ended,
}

impl State {
    pub(crate) fn of(control: &Control) -> Self {
        match control.state.get() {
            Phase::RUNNING if control.waits_in_place() => Self::Parked,
            Phase::RUNNING => Self::Running,
            Phase::READY => Self::Ready,
            Phase::PARKED => Self::Parked,
            _ => Self::Ended,
        }
    }
}

/// How a park with a deadline ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Woken {
    /// Somebody woke the thread.
    ByWake,
    /// The time came.
    ByTime,
}

/// What a thread did with its time.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Stats {
    /// How long it ran; without waits in place.
    pub running: Nanos,
    /// How long it waited for a CPU.
    pub ready: Nanos,
    /// How long it was parked, or waited in place.
    pub parked: Nanos,
    /// How often it got a CPU.
    pub switches: u64,
}

/// A handle of a thread. The thread runs on when the last handle goes.
#[derive(Clone)]
pub struct Thread(pub(crate) Arc<Control>);

/// Makes the flow that calls this the first thread, "init", of this CPU, and makes its idle thread.
/// Nothing happens when threads have started here already.
///
/// # Errors
/// When there is no memory for the idle thread's stack.
pub fn start() -> Result<(), SpawnError> {
    if cpu::is_started(&IrqsOff::now()) {
        return Ok(());
    }
    host_sync::set_reschedule_hook(cpu::preempt_here);
    let stack = Stack::new(Options::STACK).map_err(|_| SpawnError::NoMemory)?;
    // Nobody goes on with this one: it is overwritten by the first switch, which leaves the flow in it.
    let placeholder = prepare(&stack);
    let saved = prepare(&stack);
    let body: Body = Box::new(|| idle());
    let idle_top = stack.top().expose_provenance();

    let init = Parts {
        is_vcpu: false,
        phase: Phase::RUNNING,
        body: None,
        saved: placeholder,
        stack: None,
        waits: None,
    };
    let idle = Parts {
        is_vcpu: false,
        phase: Phase::READY,
        body: Some(body),
        saved,
        stack: Some(stack),
        waits: None,
    };
    let masked = IrqsOff::now();
    let home = Machine::id(&masked);
    cpu::make(home);
    cpu::roster(&masked).idle_top = idle_top;
    let member = |name: &str, slot, parts, kind, priority| {
        let control = Control::new(next_id(), name.into(), home, slot, parts);
        Member::new(Arc::new(control), Attributes { priority, ..Attributes::new(kind) })
    };
    let first = member("init", Slot(0), init, Kind::System, Priority::DEFAULT);
    let mut idle = member("idle", Slot(1), idle, Kind::Idle, Priority::LOWEST);
    idle.affinity = CpuSet::of(home);
    cpu::begin(first, idle, plan::planned(home), &masked);
    Ok(())
}

/// Makes a thread that runs `body`; it may run before this returns.
///
/// # Errors
/// When there is no memory for its stack, none of its CPUs is online, or none of their policies takes it on.
pub fn spawn(options: Options, body: Box<dyn FnOnce() + Send>) -> Result<Thread, SpawnError> {
    // Memory of threads that ended is used first.
    cpu::bury_all();
    let stack = Stack::new(options.stack).map_err(|_| SpawnError::NoMemory)?;
    let saved = prepare(&stack);
    let is_vcpu = options.attributes.kind == Kind::Vcpu;
    let waits = options.waits;
    let parts = Parts { is_vcpu, phase: Phase::PARKED, body: Some(body), saved, stack: Some(stack), waits };
    let id = next_id();
    let here = Machine::id(&IrqsOff::now());
    let alone = !is_vcpu && options.affinity.contains(here);
    let mut home = if alone { moves::open(here) } else { moves::best(options.affinity, here) };
    let mut left = options.affinity;
    let mut refused = None;
    while let Some(cpu) = home {
        let masked = IrqsOff::now();
        let mut roster = cpu::roster_of(cpu, &masked);
        let slot = roster.free_slot();
        if let Err(why) = roster.admit(slot, &options.attributes) {
            drop(roster);
            drop(masked);
            refused.get_or_insert(SpawnError::Refused(cpu, why));
            left = left.iter().filter(|other| *other != cpu).collect();
            home = moves::best(left, here);
            continue;
        }
        let control = Arc::new(Control::new(id, options.name, cpu, slot, parts));
        let mut member = Member::new(Arc::clone(&control), options.attributes);
        member.affinity = options.affinity;
        roster.seat(slot, member);
        drop(roster);
        drop(masked);
        cpu::wake(&control);
        return Ok(Thread(control));
    }
    // The first answer: of the CPU that suited best.
    Err(refused.unwrap_or_else(|| SpawnError::NotOnline(options.affinity.to_string())))
}

pub(crate) fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

#[expect(unsafe_code, reason = "the contract asks for a stack of the thread's own")]
pub(crate) fn prepare(stack: &Stack) -> Saved {
    // SAFETY: the stack is owned by the thread, which keeps it until it has ended and was left.
    unsafe { Machine::prepare(stack.top(), first_step, 0) }
}

/// Where every thread begins: with interrupts masked, one guard counted, and the switch half done.
extern "C-unwind" fn first_step(_: usize) -> ! {
    let masked = IrqsOff::now();
    // From here on the count is of this guard alone, and interrupts come back with it.
    Machine::nesting(&masked).exchange(1, true);
    cpu::after_switch(&masked);
    let me = cpu::current_counted();
    drop(masked);
    let body = me.body.lock().take();
    drop(me);
    if let Some(body) = body {
        body();
    }
    exit()
}

/// Ends the running thread.
pub fn exit() -> ! {
    might_sleep();
    current().alarm(None);
    let masked = IrqsOff::now();
    cpu::end(&masked)
}

/// Runs when nobody else does.
pub(crate) fn idle() -> ! {
    loop {
        cpu::bury();
        let masked = IrqsOff::now();
        if !Machine::nesting(&masked).resched().get() {
            crate::processors::stop_if_asked(&masked);
            Machine::wait(&masked);
        }
        // What ended the wait is taken here, and switches.
        drop(masked);
        cpu::preempt_here();
    }
}

/// The running thread.
///
/// # Panics
/// Before [`start`].
pub fn current() -> Thread {
    Thread(cpu::current_counted())
}

/// How long the running thread waited for a CPU until it last got one, all in all.
#[inline]
pub fn waited(masked: &IrqsOff) -> Nanos {
    Nanos(cpu::current(masked).waited.load(Ordering::Relaxed))
}

/// Waits until somebody wakes the running thread; returns at once when somebody did since the last park.
/// It may also return without reason.
#[inline]
pub fn park() {
    might_sleep();
    let masked = IrqsOff::now();
    let roster = cpu::roster(&masked);
    if cpu::current(&masked).state.park() {
        cpu::switch(roster, Machine::now(), None, Leaves::ByItself, &masked);
    }
}

/// The same, until `at` at most.
pub fn park_until(at: Nanos) -> Woken {
    might_sleep();
    let masked = IrqsOff::now();
    let now = Machine::now();
    let me = cpu::current(&masked);
    if now >= at {
        return Woken::ByTime;
    }
    let mut deadline = me.deadline.lock_masked(&masked);
    let mut roster = cpu::roster(&masked);
    let control = roster.member(roster.running).map(|member| Arc::clone(&member.control));
    let Some(control) = control.filter(|_| me.state.park()) else { return Woken::ByWake };
    me.timed_out.store(false, Ordering::Relaxed);
    let key = roster.timers.insert(at.0, Due::Park(control));
    *deadline = Some((Machine::id(&masked), key));
    drop(deadline);
    cpu::switch(roster, now, None, Leaves::ByItself, &masked);
    if me.timed_out.load(Ordering::Relaxed) {
        return Woken::ByTime;
    }
    // The alarm may stay set: it rings for nothing at worst.
    time::forget(&mut me.deadline.lock_masked(&masked), &masked);
    Woken::ByWake
}

/// Waits for so long.
pub fn sleep(length: Nanos) {
    let until = Machine::now().after(length);
    let mut woken = false;
    while park_until(until) == Woken::ByWake {
        woken = true;
    }
    if woken {
        // Who woke us meant another park than these.
        cpu::wake(&cpu::current_counted());
    }
}

/// Lets others of the same priority run first.
pub fn yield_now() {
    might_sleep();
    let masked = IrqsOff::now();
    let roster = cpu::roster(&masked);
    cpu::switch(roster, Machine::now(), Some(Why::TurnOver), Leaves::ByItself, &masked);
}

impl Thread {
    /// Wakes it: it is ready if it was parked, and its next park returns at once if it was not.
    ///
    /// For any context. Costs next to nothing when it was woken before and has not looked yet.
    #[inline]
    pub fn wake(&self) {
        cpu::wake(&self.0);
    }

    /// Has it woken at `at`, in place of what was asked before; not any more with `None`.
    ///
    /// For any context.
    pub fn alarm(&self, at: Option<Nanos>) {
        let masked = IrqsOff::now();
        let mut alarm = self.0.alarm.lock_masked(&masked);
        time::disarm(&mut alarm, &masked);
        if let Some(at) = at
            && self.0.state.get() != Phase::ENDED
        {
            let mut roster = cpu::roster(&masked);
            let key = roster.timers.insert(at.0, Due::Alarm(Arc::clone(&self.0)));
            *alarm = Some((Machine::id(&masked), key));
            roster.set_alarm(&masked);
        }
    }

    /// Waits until it has ended, and its stack is free.
    pub fn join(&self) {
        self.0.ended.wait();
        cpu::bury_all();
        // Another CPU may just be giving it back.
        while !self.0.buried.load(Ordering::Acquire) {
            Machine::relax();
        }
    }

    /// The name it was given.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Its number.
    pub fn id(&self) -> ThreadId {
        ThreadId(self.0.id)
    }

    /// The CPU that runs it.
    pub fn cpu(&self) -> CpuId {
        cpu::home(&self.0, &IrqsOff::now()).0
    }

    /// What it is doing.
    pub fn state(&self) -> State {
        State::of(&self.0)
    }

    /// How urgent it is; the lowest priority when it has ended.
    pub fn priority(&self) -> Priority {
        self.attributes().map_or(Priority::LOWEST, |attributes| attributes.priority)
    }

    /// What it did with its time; nothing when it has ended.
    pub fn stats(&self) -> Stats {
        let now = Machine::now();
        self.member(|roster, member| roster.stats(member, now)).unwrap_or_default()
    }

    /// How it is scheduled; `None` when it has ended.
    pub fn attributes(&self) -> Option<Attributes> {
        self.member(|_, member| member.attributes)
    }

    /// Makes it this urgent.
    pub fn set_priority(&self, priority: Priority) {
        // No policy refuses a priority.
        let _ = self.change(|attributes| attributes.priority = priority);
    }

    /// Changes how it is scheduled, at once. Nothing happens to a thread that has ended.
    ///
    /// # Errors
    /// The policy of its CPU does not take it on like this; it is scheduled as before.
    pub fn change(&self, change: impl FnOnce(&mut Attributes)) -> Result<(), Refused> {
        let masked = IrqsOff::now();
        let (home, slot, mut roster) = cpu::home(&self.0, &masked);
        let known = roster.member(slot).filter(|member| Arc::ptr_eq(&member.control, &self.0));
        let Some(member) = known else { return Ok(()) };
        let mut attributes = member.attributes;
        change(&mut attributes);
        let result = roster.set_attributes(slot, attributes, Machine::now());
        drop(roster);
        cpu::look_again(home, &masked);
        drop(masked);
        cpu::preempt_here();
        result
    }

    fn member<R>(&self, of: impl FnOnce(&Roster, &Member) -> R) -> Option<R> {
        let masked = IrqsOff::now();
        let (_, slot, roster) = cpu::home(&self.0, &masked);
        let member = roster.member(slot)?;
        Arc::ptr_eq(&member.control, &self.0).then(|| of(&roster, member))
    }
}

impl PartialEq for Thread {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Thread {}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} \"{}\"", self.0.id, self.0.name)
    }
}
