//! A line in the hands of its driver.

use core::fmt;

use alloc::boxed::Box;
use alloc::string::String;
use arch::{CpuId, IrqsOff};
use atomic::{Arc, Ordering};

use crate::LineError;
use crate::chip::{Outcome, Trigger};
use crate::domain::{Domain, find};
use crate::slot::{Owner, Slot};

/// What is called for an interrupt, with its number at the chip.
pub type Handler = Box<dyn Fn(&IrqsOff, u32) -> Outcome + Send + Sync>;

/// A line that belongs to somebody. Dropping it silences it, waits until the handler runs nowhere, and
/// frees the handler; therefore a handler must not drop its own line.
pub struct Line {
    domain: Arc<Domain>,
    own: u32,
}

impl Line {
    /// Takes line `irq` (a number over all chips, as [`translate`](crate::translate) gives it), and lets
    /// it come.
    pub fn on(irq: u32, trigger: Trigger, name: &str, handler: Handler) -> Result<Self, LineError> {
        let line = Self::quiet(irq, trigger, name, handler)?;
        line.enable();
        Ok(line)
    }

    /// Takes line `irq` without letting it come yet: see [`Line::enable`].
    pub fn quiet(irq: u32, trigger: Trigger, name: &str, handler: Handler) -> Result<Self, LineError> {
        let (domain, own) = find(irq)?;
        let slot = domain.slot(own).ok_or(LineError::NoSuchLine(irq))?;
        let owner = Box::new(Owner { handler, name: String::from(name), trigger });
        if slot.owner.fill(owner).is_err() {
            let name = slot.owner.read(|owner| owner.map(|owner| owner.name.clone()));
            return Err(LineError::Taken(name.unwrap_or_default()));
        }
        domain.chip().set_trigger(own, trigger);
        Ok(Self { domain, own })
    }

    /// The line's number over all chips.
    pub fn number(&self) -> u32 {
        self.domain.line(self.own)
    }

    /// Lets it come.
    pub fn enable(&self) {
        self.mark_enabled(true);
        self.domain.chip().enable(self.own);
    }

    /// Lets it come no more; one that is handled just now goes on.
    pub fn disable(&self) {
        self.domain.chip().disable(self.own);
        self.mark_enabled(false);
    }

    /// Ends an interrupt that its handler [kept](Outcome::Keep), when no guest will.
    pub fn finish(&self, masked: &IrqsOff) {
        if self.slot().is_some_and(|slot| slot.kept.swap(false, Ordering::Relaxed)) {
            self.domain.chip().deactivate(masked, self.own);
        }
    }

    /// Says how urgent it is, 0 the most.
    pub fn set_priority(&self, priority: u8) {
        self.domain.chip().set_priority(self.own, priority);
    }

    /// Says which CPU it goes to.
    pub fn set_affinity(&self, cpu: CpuId) {
        self.domain.send_to(self.own, cpu);
    }

    fn slot(&self) -> Option<&Slot> {
        self.domain.slot(self.own)
    }

    fn mark_enabled(&self, enabled: bool) {
        if let Some(slot) = self.slot() {
            slot.enabled.store(enabled, Ordering::Relaxed);
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.disable();
        if let Some(slot) = self.slot() {
            drop(slot.owner.swap(None));
        }
        // Otherwise the next owner would wait for an interrupt that never ended. Ending one that the
        // guest ended already does nothing.
        self.finish(&IrqsOff::now());
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Line({} {})", self.domain.chip().name(), self.own)
    }
}
