//! Small concurrent parts of the hypervisor, tried in all interleavings and with all outcomes that the memory
//! model allows, by a model checker (`loom`).
//!
//! It is their own sources that are tried: the files are compiled here a second time, with this crate in place of
//! the crates that they use, so that their atomics are the model checker's. What the checker does not model is a
//! total order of sequentially consistent accesses: it takes them for acquire and release, and barriers for what they
//! are. So whatever passes here does not need that order; who needs one writes a barrier (`resting`).
//!
//! What is not tried here: `host_sync::Swap`, which counts on that order, hands out references, and is made in constants,
//! as the checker's atomics cannot be. Miri runs its test (two readers against a writer) instead. And `arch::Waits`, which
//! is one word with one writer.
//!
//! To add a model: a file with its tests, which takes in what it tries with `#[path]`.
#![cfg(test)]
#![forbid(unsafe_code)]
#![expect(
    dead_code,
    unreachable_pub,
    reason = "the files that are tried have more in them than what is tried, and are public elsewhere"
)]

extern crate alloc;
// The crates that the files name.
extern crate self as arch;
extern crate self as atomic;
extern crate self as host_sync;
extern crate self as vio;
extern crate self as vm_bus;

mod mailbox;
mod park;
mod pins;
mod promises;
mod resting;
mod spin;

pub(crate) use std::sync::Arc;

pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, Ordering, fence};

/// Runs `model` in all interleavings, as far as two threads are interrupted no more than so often.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// What `arch`, `vio`, `vm_bus` and `host_sync` have, as far as the files name it.
#[derive(Clone, Copy)]
pub(crate) struct Nanos;

pub(crate) mod irq {
    pub(crate) trait Pins: Send + Sync {
        fn set(&self, pin: u32, level: bool);
    }
}

pub(crate) trait VcpuWaker: Send + Sync {
    fn wake(&self);
    fn wake_at(&self, at: Nanos);
}

/// Set before the threads of a model begin.
pub(crate) struct Once<T>(std::sync::OnceLock<T>);

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self(std::sync::OnceLock::new())
    }
}

impl<T> Once<T> {
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        self.0.set(value)
    }
    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get()
    }
}
