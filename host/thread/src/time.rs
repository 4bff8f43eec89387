//! Time: what it is, and what happens when it comes.

pub mod wall;

use alloc::boxed::Box;

use arch::{Clock, Cpu, CpuId, IrqsOff, Machine, Nanos};
use atomic::{Arc, AtomicU32, AtomicUsize, Ordering};
use host_sync::{IrqOff, Rank, Spin};
use timers::Key;

use crate::control::Control;
use crate::cpu;

/// How many [`Timer`]s exist.
static TIMERS: AtomicUsize = AtomicUsize::new(0);

/// What a CPU's queue of timers holds.
pub(crate) enum Due {
    /// The end of a park.
    Park(Arc<Control>),
    /// What [`Thread::alarm`](crate::Thread::alarm) asked for.
    Alarm(Arc<Control>),
    /// A timer's callback.
    Call(Arc<Inner>),
}

pub(crate) fn timers_made() -> usize {
    TIMERS.load(Ordering::Relaxed)
}

/// Nanoseconds since power-on; the same on all CPUs, and never less than before.
#[inline(always)]
pub fn now() -> Nanos {
    Machine::now()
}

/// The alarm rang on this CPU: does all that is due, and sets it again. Called by the interrupt.
#[inline(always)]
pub fn on_alarm(masked: &IrqsOff) {
    let now = Machine::now();
    let mut roster = cpu::roster(masked);
    while let Some(due) = roster.timers.pop_due(now.0) {
        roster = match due {
            Due::Park(control) => {
                control.timed_out.store(true, Ordering::Relaxed);
                cpu::ring(roster, &control, now, masked)
            }
            Due::Alarm(control) => cpu::ring(roster, &control, now, masked),
            Due::Call(timer) => {
                timer.runs_on.store(Machine::id(masked).0, Ordering::Relaxed);
                drop(roster);
                (timer.callback)(now);
                timer.runs_on.store(NOWHERE, Ordering::Release);
                cpu::roster(masked)
            }
        };
    }
    roster.alarm_rang(now, masked);
    roster.set_alarm(masked);
}

/// Something that happens once, at a point of time: the callback is called with interrupts masked, by the
/// interrupt of the CPU that armed the timer, and told the time. It should do little, such as waking a
/// thread; it may arm the timer again.
///
/// Dropping a timer cancels it; that is for threads, since memory is freed.
pub struct Timer(Arc<Inner>);

pub(crate) struct Inner {
    callback: Box<dyn Fn(Nanos) + Send + Sync>,
    armed: Spin<Option<(CpuId, Key)>, IrqOff>,
    /// The CPU on which the callback runs right now.
    runs_on: AtomicU32,
}

/// No CPU.
const NOWHERE: u32 = u32::MAX;

impl Timer {
    /// A timer that is not armed.
    pub fn new(callback: impl Fn(Nanos) + Send + Sync + 'static) -> Self {
        TIMERS.fetch_add(1, Ordering::Relaxed);
        let callback = Box::new(callback);
        let inner =
            Inner { callback, armed: Spin::ranked(None, Rank::Alarm), runs_on: AtomicU32::new(NOWHERE) };
        let masked = IrqsOff::now();
        for cpu in cpu::started() {
            cpu::roster_of(cpu, &masked).reserve_timers();
        }
        Self(Arc::new(inner))
    }

    /// Arms it for `at`, in place of what it was armed for. A point that has passed is as good as now.
    pub fn arm(&self, at: Nanos) {
        let masked = IrqsOff::now();
        let mut armed = self.0.armed.lock_masked(&masked);
        disarm(&mut armed, &masked);
        let mut roster = cpu::roster(&masked);
        let key = roster.timers.insert(at.0, Due::Call(Arc::clone(&self.0)));
        *armed = Some((Machine::id(&masked), key));
        roster.set_alarm(&masked);
    }

    /// Disarms it. When this returns the callback does not run any more, unless it is the caller.
    pub fn cancel(&self) {
        let masked = IrqsOff::now();
        disarm(&mut self.0.armed.lock_masked(&masked), &masked);
        let here = Machine::id(&masked).0;
        while ![NOWHERE, here].contains(&self.0.runs_on.load(Ordering::Acquire)) {
            Machine::relax();
        }
    }

    /// Whether it is armed and has not rung yet.
    pub fn is_armed(&self) -> bool {
        let masked = IrqsOff::now();
        let armed = *self.0.armed.lock_masked(&masked);
        armed.is_some_and(|(cpu, key)| cpu::roster_of(cpu, &masked).timers.deadline(key).is_some())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.cancel();
        // An interrupt of another CPU that has just done with the callback must not free it.
        while Arc::strong_count(&self.0) > 1 && self.0.runs_on.load(Ordering::Relaxed) == NOWHERE {
            Machine::relax();
        }
        TIMERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Takes an alarm out of its CPU's queue, if it still waits there, and leaves that CPU's alarm as it is.
pub(crate) fn forget(armed: &mut Option<(CpuId, Key)>, masked: &IrqsOff) {
    if let Some((at, key)) = armed.take() {
        let due = cpu::roster_of(at, masked).timers.cancel(key);
        // Never the last count: the caller has one of its own.
        drop(due);
    }
}

/// An alarm that a thread has in the queue of `from` follows it to `to`. `from` is this CPU.
pub(crate) fn rehome(armed: &Spin<Option<(CpuId, Key)>, IrqOff>, from: CpuId, to: CpuId, masked: &IrqsOff) {
    let mut armed = armed.lock_masked(masked);
    let Some((at, key)) = *armed else { return };
    if at != from || from == to {
        return;
    }
    let mut roster = cpu::roster_of(from, masked);
    let found = roster.timers.deadline(key).and_then(|when| Some((when, roster.timers.cancel(key)?)));
    roster.set_alarm(masked);
    drop(roster);
    let Some((when, due)) = found else { return };
    let key = cpu::roster_of(to, masked).timers.insert(when, due);
    *armed = Some((to, key));
}

/// All that waits in the queue of `from`, which is this CPU and stops, waits in that of `to` from now on.
pub(crate) fn hand_over(from: CpuId, to: CpuId, masked: &IrqsOff) {
    loop {
        let mut roster = cpu::roster_of(from, masked);
        let Some(when) = roster.timers.next_deadline() else { return };
        let Some(due) = roster.timers.pop_due(u64::MAX) else { return };
        drop(roster);
        // Nobody else puts anything into this queue, so what is armed here is what was just taken out.
        let move_to = |armed: &Spin<Option<(CpuId, Key)>, IrqOff>, due| {
            let mut armed = armed.lock_masked(masked);
            if armed.is_some_and(|(at, _)| at == from) {
                *armed = Some((to, cpu::roster_of(to, masked).timers.insert(when, due)));
            }
        };
        match due {
            Due::Park(control) => move_to(&control.clone().deadline, Due::Park(control)),
            Due::Alarm(control) => move_to(&control.clone().alarm, Due::Alarm(control)),
            Due::Call(timer) => move_to(&timer.clone().armed, Due::Call(timer)),
        }
    }
}

/// Takes an alarm or a timer out of its CPU's queue, if it still waits there.
pub(crate) fn disarm(armed: &mut Option<(CpuId, Key)>, masked: &IrqsOff) {
    if let Some((at, key)) = armed.take() {
        let mut roster = cpu::roster_of(at, masked);
        let due = roster.timers.cancel(key);
        if at == Machine::id(masked) {
            roster.set_alarm(masked);
        }
        drop(roster);
        // Never the last count: the caller has one of its own.
        drop(due);
    }
}
