//! What an interrupt controller's driver provides.

use alloc::string::String;

use arch::{CpuId, IrqsOff, LocalIrqs, Machine};

/// How a line says that it wants something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// As long as it is high.
    LevelHigh,
    /// As long as it is low.
    LevelLow,
    /// By rising.
    EdgeRising,
    /// By falling.
    EdgeFalling,
}

impl Trigger {
    /// Whether it is a level.
    pub const fn is_level(self) -> bool {
        matches!(self, Self::LevelHigh | Self::LevelLow)
    }
    /// A word for tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LevelHigh => "level-high",
            Self::LevelLow => "level-low",
            Self::EdgeRising => "edge-rising",
            Self::EdgeFalling => "edge-falling",
        }
    }
}

/// What a handler leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is over; the interrupt may come again.
    Done,
    /// It stays active, and so silent, until somebody deactivates it: a guest with its own end of
    /// interrupt, or [`Line::finish`](crate::Line::finish).
    Keep,
}

/// The cells say nothing that this controller understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadSpecifier;

/// An interrupt controller. Numbers are its own, from 0; a number that it does not have is ignored.
///
/// Members that take [`IrqsOff`] are called in the interrupt's path. The others are called from any
/// context, for one number by one caller at a time.
pub trait Chip: Send + Sync {
    /// Its name, for tables.
    fn name(&self) -> &str;
    /// One more than its greatest number.
    fn lines(&self) -> u32;
    /// What the cells of a device tree's `interrupts` mean.
    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier>;
    /// Takes the most urgent pending interrupt; it is active then. Where nothing else is said, this and the two that
    /// follow are done in the processor's own registers.
    #[inline]
    fn claim(&self, masked: &IrqsOff) -> Option<u32> {
        Machine::claim(masked)
    }
    /// Lets others of its priority come again; it stays active.
    #[inline]
    fn drop_priority(&self, masked: &IrqsOff, irq: u32) {
        Machine::drop_priority(masked, irq);
    }
    /// Lets it come again.
    #[inline]
    fn deactivate(&self, masked: &IrqsOff, irq: u32) {
        Machine::deactivate(masked, irq);
    }
    /// Both at once, for most interrupts.
    fn end(&self, masked: &IrqsOff, irq: u32) {
        self.drop_priority(masked, irq);
        self.deactivate(masked, irq);
    }
    /// Lets it come; of a line that each CPU has for itself, the asking CPU's.
    fn enable(&self, irq: u32);
    /// Lets it come no more, likewise.
    fn disable(&self, irq: u32);
    /// Says what the line does when it wants something.
    fn set_trigger(&self, irq: u32, trigger: Trigger);
    /// Says how urgent it is, 0 the most; a controller without priorities ignores it.
    fn set_priority(&self, _irq: u32, _priority: u8) {}
    /// Says which CPU it goes to.
    fn set_affinity(&self, _irq: u32, _cpu: CpuId) {}
    /// Whether it can interrupt this CPU, which is up: where there are several controllers, each may know some only.
    fn reaches(&self, _cpu: CpuId) -> bool {
        true
    }
    /// Whether each CPU has this line for itself.
    fn is_per_cpu(&self, _irq: u32) -> bool {
        false
    }
    /// Prepares the asking CPU's part, when a further CPU came up: what it claims from, and what hands
    /// interrupts to its guests ([`Virt::use_interface`](arch::Virt::use_interface)).
    ///
    /// # Errors
    /// What is missing, in words.
    fn start_cpu(&self, _masked: &IrqsOff) -> Result<(), String> {
        Ok(())
    }
    /// The asking CPU stops: nothing more is claimed here until [`Chip::start_cpu`].
    fn stop_cpu(&self, _masked: &IrqsOff) {}
    /// The line by which CPUs interrupt each other, if this controller has one; per CPU, and edge-triggered
    /// as far as anybody can see.
    fn ipi(&self) -> Option<u32> {
        None
    }
    /// Interrupts CPU `cpu` by the line [`Chip::ipi`]. What was written to memory before is seen by the
    /// handler. Called from any context, and takes no lock: a panic calls it, too.
    fn send_ipi(&self, _masked: &IrqsOff, _cpu: CpuId) {}
}
