//! Threads, their scheduling, time, and locks that sleep.
//!
//! * [`start`] makes the boot flow the first thread; [`spawn`] makes more.
//! * A thread [`park`]s until somebody [wakes](Thread::wake) it. A wake that comes first is not lost: the
//!   next park returns at once. A park may also return without reason, so look again at what you wait for.
//! * [`Mutex`], [`RwLock`], [`Semaphore`], [`Completion`] and [`WaitQueue`] are built on that, [`time`] beside it;
//!   [`work`] has small jobs done by a thread.
//! * Nothing allocates when a thread parks, is woken, or a timer is set or rings.
//!
//! Who runs is a [`policy`]'s decision. There is no tick: the alarm is set for the next timer, or
//! for the end of the running thread's turn while another one of its priority waits.
//!
//! *What the host's interrupts must call:* [`time::on_alarm`] for the alarm, [`on_kick`] for the
//! inter-processor interrupt of [`set_kick`], and [`preempt_if_asked`] last of all.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod control;
mod cpu;
mod cpuset;
mod line;
mod list;
mod member;
mod moves;
mod mutex;
mod phase;
mod plan;
pub mod processors;
mod roster;
mod rwlock;
mod stack;
mod thread;
pub mod time;
mod wait;
pub mod work;

pub use cpu::{on_kick, preempt_if_asked, set_kick, take_interrupts};
pub use cpuset::CpuSet;
pub use host_sched as policy;
pub use list::{Info, list};
pub use moves::{AffinityError, online, send};
pub use mutex::{Mutex, MutexGuard};
pub use plan::{PolicyState, policies, set_plan, set_policy};
pub use policy::{Attributes, Kind, Priority};
pub use rwlock::{ReadGuard, RwLock, WriteGuard};
pub use thread::{
    Options, SpawnError, State, Stats, Thread, ThreadId, Woken, current, exit, park, park_until, sleep,
    spawn, start, waited, yield_now,
};
pub use wait::{Completion, Semaphore, WaitQueue};

use arch::{IrqsOff, LocalIrqs, Machine};

/// An entry of host interrupts for where the processor's own interrupt controller is the only one and
/// alarms and kicks are all that comes: `Machine::on_interrupt(host_thread::simple_entry)` in tests.
pub fn simple_entry(masked: &IrqsOff) {
    let aside = host_sync::Aside::new();
    while let Some(irq) = Machine::claim(masked) {
        Machine::drop_priority(masked, irq);
        // Inter-processor interrupts are 0 to 15 on all machines that number theirs.
        if irq < 16 {
            on_kick(masked);
        } else {
            time::on_alarm(masked);
        }
        Machine::deactivate(masked, irq);
    }
    drop(aside);
    preempt_if_asked(masked);
}

#[cfg(test)]
mod tests;
