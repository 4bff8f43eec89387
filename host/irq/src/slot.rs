//! One line's place in its chip's table: the handler, read without a lock.

use alloc::string::String;
use arch::IrqsOff;
use atomic::{AtomicBool, AtomicU32};
use host_sync::Swap;

use crate::chip::{Outcome, Trigger};
use crate::line::Handler;

/// In place of a CPU: none that the controller reaches is up. The first one that comes is the one.
pub(crate) const NOBODY: u32 = u32::MAX;

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
    /// Whether a handler left it active.
    pub(crate) kept: AtomicBool,
    /// Whether it may come.
    pub(crate) enabled: AtomicBool,
    /// The CPU that it goes to, where that can be chosen: the boot CPU at first, if its controller reaches that one;
    /// or [`NOBODY`].
    pub(crate) affinity: AtomicU32,
}

impl Slot {
    /// Calls the handler; `None` when there is none.
    #[inline]
    pub(crate) fn run(&self, masked: &IrqsOff, irq: u32) -> Option<Outcome> {
        self.owner.read_masked(masked, |owner| owner.map(|owner| (owner.handler)(masked, irq)))
    }
}
