//! Locks that spin, values that are made once, and data of which every CPU has its own.
//!
//! A lock's context is a type parameter: [`Spin<T>`](Spin) switches preemption off while it is held,
//! [`Spin<T, IrqOff>`](Spin) masks interrupts too. Use the second for what interrupt handlers lock,
//! the first for all else, and `host_thread::Mutex` for what is held while something is waited for.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod flag;
mod once;
mod percpu;
mod preempt;
mod rank;
mod spin;
mod swap;

pub use arch::MAX_CPUS;
pub use once::Once;
pub use percpu::PerCpu;
pub use preempt::{PreemptGuard, might_sleep, set_reschedule_hook};
pub use rank::{Aside, Rank};
pub use spin::{IrqOff, LockContext, PreemptOff, Spin, SpinGuard};
pub use swap::Swap;

#[cfg(test)]
mod tests;
