//! Preemption, switched off for as long as a guard lives.

use core::marker::PhantomData;

use arch::{Cpu, IrqsOff, Machine};

use crate::Once;

static RESCHEDULE: Once<fn()> = Once::new();

/// Names the function that switches threads, called when the last guard goes and a switch was asked
/// for meanwhile. The first one named stays.
pub fn set_reschedule_hook(hook: fn()) {
    // On the development machine, every test that starts threads says the same again.
    let _ = RESCHEDULE.set(hook);
}

/// While it lives, the running thread keeps its CPU: it is interrupted, but not preempted.
pub struct PreemptGuard(PhantomData<*const ()>);

impl PreemptGuard {
    /// Switches preemption off.
    #[inline(always)]
    pub fn new() -> Self {
        let count = Machine::nesting_here().preempt_off();
        count.set(count.get() + 1);
        Self(PhantomData)
    }
}

impl Default for PreemptGuard {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for PreemptGuard {
    #[inline(always)]
    fn drop(&mut self) {
        let nesting = Machine::nesting_here();
        let left = nesting.preempt_off().get() - 1;
        nesting.preempt_off().set(left);
        if left == 0 && nesting.resched().get() {
            reschedule();
        }
    }
}

#[cold]
#[inline(never)]
fn reschedule() {
    // With interrupts masked the switch waits: whoever asked for it has set the alarm.
    if Machine::nesting_here().irqs_off() == 0
        && let Some(hook) = RESCHEDULE.get()
    {
        hook();
    }
}

/// Panics, in debug builds, where sleeping is a bug: interrupts are masked or a spin lock is held.
#[inline(always)]
#[track_caller]
pub fn might_sleep() {
    if cfg!(debug_assertions) {
        let masked = IrqsOff::now();
        let nesting = Machine::nesting(&masked);
        assert!(nesting.irqs_off() == 1, "sleeps with interrupts masked");
        assert!(nesting.preempt_off().get() == 0, "sleeps with a spin lock held");
    }
}
