//! Further CPUs: they come up as their own idle thread, and go down out of it.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;

use arch::{Clock, Cpu as _, CpuId, IrqsOff, Machine, Nanos, Virt};
use atomic::{Arc, AtomicU32, Ordering};
use host_sync::Once;

use crate::control::{Control, Parts};
use crate::member::Member;
use crate::phase::Phase;
use crate::policy::{Attributes, Kind, NEVER, Priority, Slot};
use crate::stack::Stack;
use crate::thread::{Options, SpawnError, Thread, idle, next_id, prepare as prepare_context};
use crate::{CpuSet, cpu, moves, plan, sleep, time};

/// What a CPU does last, with nothing left on it.
static LAST_STEP: Once<fn(&IrqsOff) -> !> = Once::new();
/// The CPU that is to stop; [`NOBODY`] for none.
static STOPPING: AtomicU32 = AtomicU32::new(NOBODY);
const NOBODY: u32 = u32::MAX;

/// How often threads are looked for that have not left a CPU that stops, a millisecond apart.
const PATIENCE: u32 = 3000;

/// The stack on which a further CPU begins: that of its idle thread.
pub struct IdleStack(Stack);

impl IdleStack {
    /// A new one.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new() -> Result<Self, SpawnError> {
        Stack::new(Options::STACK).map(Self).map_err(|_| SpawnError::NoMemory)
    }
    /// Its end.
    pub fn top(&self) -> *mut u8 {
        self.0.top()
    }
}

/// Names what a CPU does last when it stops, with interrupts masked: see [`stop`]. The first one stays.
pub fn set_last_step(last: fn(&IrqsOff) -> !) {
    // There is one start-up.
    let _ = LAST_STEP.set(last);
}

/// Makes the idle thread of `cpu`, which never ran, with this stack.
pub fn prepare(cpu: CpuId, stack: IdleStack) {
    let IdleStack(stack) = stack;
    if !cpu::make(cpu) {
        return;
    }
    let top = stack.top().addr();
    let saved = prepare_context(&stack);
    let parts =
        Parts { is_vcpu: false, phase: Phase::RUNNING, body: None, saved, stack: Some(stack), waits: None };
    let control = Arc::new(Control::new(next_id(), String::from("idle"), cpu, Slot(0), parts));
    let attributes = Attributes { priority: Priority::LOWEST, ..Attributes::new(Kind::Idle) };
    let mut member = Member::new(control, attributes);
    member.affinity = CpuSet::of(cpu);
    let policy = plan::planned(cpu);
    let masked = IrqsOff::now();
    let mut roster = cpu::roster_of(cpu, &masked);
    roster.idle = Slot(0);
    roster.running = Slot(0);
    roster.idle_top = top;
    roster.closed = true;
    // There is no policy yet that could refuse.
    let _ = roster.adopt(member);
    let _ = roster.set_policy(&mut Some(policy), Machine::now());
}

/// The end of the stack of the idle thread of `cpu`, which ran before and stopped.
pub fn stack_top(cpu: CpuId) -> *mut u8 {
    let masked = IrqsOff::now();
    core::ptr::with_exposed_provenance_mut(cpu::roster_of(cpu, &masked).idle_top)
}

/// The flow that calls this is the idle thread of its CPU from now on: threads may come. Nothing is masked by
/// another guard than `masked`.
pub fn run_idle(masked: IrqsOff) -> ! {
    let mut roster = cpu::roster(&masked);
    roster.running = roster.idle;
    roster.priority = Priority::LOWEST;
    roster.turn_ends = NEVER;
    roster.turn_over = false;
    roster.again = NEVER;
    roster.alarm = NEVER;
    roster.closed = false;
    let own = roster.member(roster.idle).map(|member| Arc::clone(&member.control));
    drop(roster);
    cpu::set_current(own.as_ref(), &masked);
    // Another count of it lives as long as its CPU.
    drop(own);
    // From here on the count is of this guard alone, and interrupts come back with it.
    Machine::nesting(&masked).exchange(1, true);
    drop(masked);
    idle()
}

/// Why a CPU does not stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotStopped {
    /// It is the last one.
    Last,
    /// It does not run.
    NotOnline,
    /// Another one is about to stop.
    Busy,
    /// These threads did not leave it.
    Threads(Vec<String>),
}

impl core::fmt::Display for NotStopped {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Last => f.write_str("it is the last one online"),
            Self::NotOnline => f.write_str("it is not online"),
            Self::Busy => f.write_str("another one is about to go offline"),
            Self::Threads(names) => write!(f, "it is not left by {}", names.join(", ")),
        }
    }
}

/// Sends all threads of `cpu` to other CPUs and has it do its last step. Says who goes on where his affinity does
/// not allow it, because it allows nothing else that is online. The step was not done yet when this returns.
///
/// # Errors
/// Why the CPU goes on.
pub fn stop(cpu: CpuId) -> Result<Vec<String>, NotStopped> {
    if !moves::online().contains(cpu) {
        return Err(NotStopped::NotOnline);
    }
    if STOPPING.compare_exchange(NOBODY, NOBODY - 1, Ordering::AcqRel, Ordering::Relaxed).is_err() {
        return Err(NotStopped::Busy);
    }
    let result = empty(cpu);
    match &result {
        Ok(_) => {
            STOPPING.store(cpu.0, Ordering::SeqCst);
            let masked = IrqsOff::now();
            cpu::look_again(cpu, &masked);
        }
        Err(_) => {
            close(cpu, false);
            STOPPING.store(NOBODY, Ordering::Release);
        }
    }
    result
}

fn close(cpu: CpuId, closed: bool) {
    let masked = IrqsOff::now();
    cpu::roster_of(cpu, &masked).closed = closed;
}

/// Sends all away, and waits until they are gone.
fn empty(cpu: CpuId) -> Result<Vec<String>, NotStopped> {
    close(cpu, true);
    if moves::best(CpuSet::ALL, cpu).is_none() {
        return Err(NotStopped::Last);
    }
    let mut astray = Vec::new();
    for _ in 0..PATIENCE {
        let left = members(cpu);
        if left.is_empty() {
            return Ok(astray);
        }
        for thread in &left {
            let allowed = moves::best(thread.affinity(), cpu);
            let Some(target) = allowed.or_else(|| moves::best(CpuSet::ALL, cpu)) else { continue };
            if allowed.is_none() && !astray.iter().any(|name| name == thread.name()) {
                astray.push(String::from(thread.name()));
            }
            // One that has ended meanwhile is gone as well.
            let _ = thread.send(target);
        }
        drop(left);
        cpu::bury_all();
        sleep(Nanos::from_millis(1));
    }
    Err(NotStopped::Threads(members(cpu).iter().map(|thread| String::from(thread.name())).collect()))
}

/// The threads of `cpu` but the idle one.
fn members(cpu: CpuId) -> Vec<Thread> {
    let mut found = Vec::new();
    loop {
        let masked = IrqsOff::now();
        let roster = cpu::roster_of(cpu, &masked);
        if roster.members().count() > found.capacity() {
            let wanted = roster.members().count();
            drop(roster);
            drop(masked);
            found.reserve(wanted);
            continue;
        }
        let others = roster.members().filter(|member| member.slot() != roster.idle);
        found.extend(others.map(|member| Thread(Arc::clone(&member.control))));
        return found;
    }
}

/// The last step, if this CPU is to do it. Called by its idle thread.
pub(crate) fn stop_if_asked(masked: &IrqsOff) {
    let here = Machine::id(masked);
    if STOPPING.load(Ordering::Acquire) != here.0 {
        return;
    }
    let Some(last) = LAST_STEP.get() else { return };
    let Some(heir) = cpu::started().find(|cpu| *cpu != here && !cpu::roster_of(*cpu, masked).closed) else {
        return;
    };
    Machine::evict(masked);
    time::hand_over(here, heir, masked);
    let ghosts = core::mem::take(&mut cpu::roster(masked).ghosts);
    cpu::roster_of(heir, masked).ghosts.extend(ghosts);
    Machine::alarm(masked, None);
    cpu::set_current(None, masked);
    cpu::kick(heir);
    STOPPING.store(NOBODY, Ordering::Release);
    last(masked)
}
