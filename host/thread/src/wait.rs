//! Waiting for something: for a condition, for a count, for an end.

use arch::Nanos;
use atomic::{Arc, Ordering};
use host_sync::{IrqOff, Rank, Spin, SpinGuard};

use crate::control::Control;
use crate::line::Line;
use crate::{Woken, cpu, park, park_until};

/// The running thread has joined a line: parks until somebody has taken it out, which is the answer
/// `true`, or until `at`.
pub(crate) fn await_turn(at: Option<Nanos>) -> bool {
    let me = cpu::current_counted();
    let mut woken = false;
    let turn = loop {
        if !me.link.queued.load(Ordering::Acquire) {
            break true;
        }
        match at.map(park_until) {
            None => park(),
            Some(Woken::ByWake) => {}
            Some(Woken::ByTime) => break false,
        }
        woken |= me.link.queued.load(Ordering::Acquire);
    };
    if woken {
        // Somebody woke the thread for another reason than this line: its own next park must know.
        cpu::wake(&me);
    }
    turn
}

/// Joins the line that `line` finds in what `guard` has locked, and waits in it. `false` when `at` came
/// first, and the thread has left the line.
pub(crate) fn wait_in<T>(
    lock: &Spin<T, IrqOff>,
    mut guard: SpinGuard<'_, T, arch::IrqsOff>,
    line: impl Fn(&mut T) -> &mut Line,
    at: Option<Nanos>,
) -> bool {
    line(&mut guard).join();
    drop(guard);
    // When the time comes together with the turn, the turn counts.
    await_turn(at) || !line(&mut lock.lock()).leave()
}

fn wake(first: Option<Arc<Control>>) -> bool {
    first.is_some_and(|control| {
        cpu::wake(&control);
        true
    })
}

/// Threads that wait for a condition that somebody else makes true.
pub struct WaitQueue(Spin<Line, IrqOff>);

impl WaitQueue {
    /// Nobody waits.
    pub const fn new() -> Self {
        Self(Spin::ranked(Line::new(), Rank::Waiters))
    }

    /// Waits as long as `condition` holds. It is asked with the queue locked and interrupts masked, so
    /// that a wake after a change is not missed; it should look at something simple.
    pub fn wait_while(&self, mut condition: impl FnMut() -> bool) {
        loop {
            let line = self.0.lock();
            if !condition() {
                return;
            }
            wait_in(&self.0, line, |line| line, None);
        }
    }

    /// The same, until `at` at most; says whether the condition ended.
    pub fn wait_while_until(&self, mut condition: impl FnMut() -> bool, at: Nanos) -> bool {
        loop {
            let line = self.0.lock();
            if !condition() {
                return true;
            }
            if !wait_in(&self.0, line, |line| line, Some(at)) {
                let _line = self.0.lock();
                return !condition();
            }
        }
    }

    /// Wakes who has waited longest. For any context.
    pub fn wake_one(&self) {
        let first = self.0.lock().leave_first();
        wake(first);
    }

    /// Wakes all who wait. For any context.
    pub fn wake_all(&self) {
        // Counted first: who is woken may find that it has to wait again, and join again.
        let waiting = self.0.lock().length();
        (0..waiting).for_each(|_| self.wake_one());
    }
}

impl Default for WaitQueue {
    fn default() -> Self {
        Self::new()
    }
}

/// A count that is taken from and given to; who finds nothing waits, first come, first served.
pub struct Semaphore(Spin<Count, IrqOff>);

struct Count {
    left: u32,
    line: Line,
}

impl Semaphore {
    /// With `count` to take.
    pub const fn new(count: u32) -> Self {
        Self(Spin::ranked(Count { left: count, line: Line::new() }, Rank::Waiters))
    }

    /// Takes one; waits for it.
    pub fn take(&self) {
        self.take_or_wait(None);
    }

    /// Takes one if there is one.
    pub fn try_take(&self) -> bool {
        let mut count = self.0.lock();
        let left = count.left.checked_sub(1);
        count.left = left.unwrap_or(0);
        left.is_some()
    }

    /// Takes one; waits until `at` for it, and says whether it came.
    pub fn take_until(&self, at: Nanos) -> bool {
        self.take_or_wait(Some(at))
    }

    fn take_or_wait(&self, at: Option<Nanos>) -> bool {
        let mut count = self.0.lock();
        if let Some(left) = count.left.checked_sub(1) {
            count.left = left;
            return true;
        }
        // Who is taken out of the line was given one.
        wait_in(&self.0, count, |count| &mut count.line, at)
    }

    /// Gives one. For any context.
    pub fn give(&self) {
        let mut count = self.0.lock();
        let first = count.line.leave_first();
        if first.is_none() {
            count.left = count.left.saturating_add(1);
        }
        drop(count);
        wake(first);
    }
}

/// Something that happens, and stays happened until it is reset.
pub struct Completion(Spin<Event, IrqOff>);

struct Event {
    happened: bool,
    line: Line,
}

impl Completion {
    /// It has not happened.
    pub const fn new() -> Self {
        Self(Spin::ranked(Event { happened: false, line: Line::new() }, Rank::Waiters))
    }

    /// Waits until it has happened.
    pub fn wait(&self) {
        self.wait_or_leave(None);
    }

    /// Waits until it has happened, or until `at`; says whether it has.
    pub fn wait_until(&self, at: Nanos) -> bool {
        self.wait_or_leave(Some(at))
    }

    fn wait_or_leave(&self, at: Option<Nanos>) -> bool {
        let event = self.0.lock();
        event.happened || wait_in(&self.0, event, |event| &mut event.line, at)
    }

    /// Whether it has happened.
    pub fn is_complete(&self) -> bool {
        self.0.lock().happened
    }

    /// It happens: all who wait go on, and who comes later does not wait. For any context.
    pub fn complete(&self) {
        loop {
            let mut event = self.0.lock();
            event.happened = true;
            let first = event.line.leave_first();
            drop(event);
            // Nobody joins any more.
            if !wake(first) {
                return;
            }
        }
    }

    /// It has not happened any more.
    pub fn reset(&self) {
        self.0.lock().happened = false;
    }
}

impl Default for Completion {
    fn default() -> Self {
        Self::new()
    }
}
