//! One line's place in its chip's table: the handler, read without a lock.

use alloc::string::String;
use arch::IrqsOff;
use atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use host_sync::Swap;

use crate::chip::{Outcome, Trigger};
use crate::line::Handler;

/// Who has a line.
pub(crate) struct Owner {
    pub(crate) handler: Handler,
    pub(crate) name: String,
    pub(crate) trigger: Trigger,
}

/// A line's place.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) owner: Swap<Owner>,
    /// Interrupts since start-up.
    count: AtomicU64,
    /// Whether a handler left it active.
    pub(crate) kept: AtomicBool,
    /// Whether it may come.
    pub(crate) enabled: AtomicBool,
    /// The CPU that it goes to, where that can be chosen; the boot CPU at first.
    pub(crate) affinity: AtomicU32,
}

impl Slot {
    /// Calls the handler; `None` when there is none.
    #[inline]
    pub(crate) fn run(&self, masked: &IrqsOff, irq: u32) -> Option<Outcome> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.owner.read_masked(masked, |owner| owner.map(|owner| (owner.handler)(masked, irq)))
    }

    /// Interrupts since start-up.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}
