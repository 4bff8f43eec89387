//! The platform-level interrupt controller, as one context sees it.

use isa_plic::Register;

use super::mmio::{load32, store32};

/// The controller, and the context of the CPU that started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plic {
    /// Its registers.
    pub(crate) at: u64,
    /// Sources, without number 0.
    pub(crate) sources: u32,
    /// The supervisor's context.
    pub(crate) context: u32,
}

impl Plic {
    /// Where a register is.
    pub(crate) fn register(self, register: Register) -> u64 {
        self.at + register.offset()
    }

    /// Everything disabled, and all priorities let through.
    pub(crate) fn start(self) {
        for word in 0..=self.sources / 32 {
            store32(self.register(Register::Enable(self.context, word)), 0);
        }
        store32(self.register(Register::Threshold(self.context)), 0);
    }

    /// Sets a source's priority; 0 is never.
    pub(crate) fn set_priority(self, source: u32, priority: u32) {
        store32(self.register(Register::Priority(source)), priority);
    }

    /// Lets a source interrupt, or no more.
    pub(crate) fn set_enabled(self, source: u32, on: bool) {
        let register = self.register(Register::Enable(self.context, source / 32));
        let bit = 1 << (source % 32);
        let others = load32(register) & !bit;
        store32(register, if on { others | bit } else { others });
    }

    /// Whether a source is pending.
    pub(crate) fn is_pending(self, source: u32) -> bool {
        load32(self.register(Register::Pending(source / 32))) & 1 << (source % 32) != 0
    }

    /// Keeps out what has no higher priority than this.
    pub(crate) fn set_threshold(self, priority: u32) {
        store32(self.register(Register::Threshold(self.context)), priority);
    }

    /// Takes the most urgent source; 0 if there is none.
    pub(crate) fn claim(self) -> u32 {
        load32(self.register(Register::Claim(self.context)))
    }

    /// Ends it.
    pub(crate) fn complete(self, source: u32) {
        store32(self.register(Register::Claim(self.context)), source);
    }
}
