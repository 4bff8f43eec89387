//! The host's interrupts: controllers, lines, and the way from the vector to a handler.
//!
//! A driver of an interrupt controller [`publish`]es a [`Chip`]. Other drivers have a device tree's
//! specifier [`translate`]d and take the [`Line`] with a handler; dropping the line silences it. Line
//! numbers are dense over all chips: those of the first one (the root, which the vector asks) are its
//! own numbers, those of a cascaded one follow.
//!
//! A handler runs with interrupts masked. It may wake a thread, set a guest's line, put bytes into a
//! ring; it must not sleep, allocate, or drop its own line.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod chip;
mod domain;
mod guest;
mod line;
mod load;
mod slot;

use core::fmt;

use alloc::string::String;
use arch::{Clock, CpuId, IrqsOff, Machine};
use host_sync::{Aside, Once};

pub use chip::{BadSpecifier, Chip, Outcome, Trigger};
pub use domain::{
    Domain, LineStats, ipi, leave_cpu, publish, send_ipi, set_affinity, start_cpu, stats, stop_cpu, translate,
};
pub use guest::{GuestIrqs, guest_irqs, publish_guest_irqs};
pub use line::{Handler, Line};
pub use load::time_of;

/// Why a line cannot be had.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LineError {
    /// The controller that the specifier is for has no driver yet.
    Later,
    /// No controller has this line.
    NoSuchLine(u32),
    /// Somebody has it already; this is his name.
    Taken(String),
    /// Each CPU has it for itself.
    PerCpu(u32),
    /// The controller of this line does not interrupt this CPU.
    OutOfReach(u32, CpuId),
    /// The controller of this line, which has that owner, interrupts no other CPU that is online.
    NoHeir(u32, String),
    /// The specifier's cells say nothing that this controller understands.
    BadSpecifier,
    /// A controller with this phandle was published already.
    PublishedTwice(u32),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later => f.write_str("its interrupt controller has no driver yet"),
            Self::NoSuchLine(irq) => write!(f, "there is no interrupt {irq}"),
            Self::Taken(name) => write!(f, "the interrupt is taken by {name}"),
            Self::PerCpu(irq) => write!(f, "each CPU has interrupt {irq} for itself"),
            Self::OutOfReach(irq, cpu) => {
                write!(f, "interrupt {irq} cannot go to {cpu}: its controller does not reach {cpu}")
            }
            Self::NoHeir(irq, owner) => {
                write!(
                    f,
                    "interrupt {irq} of {owner} comes there: its controller reaches no other CPU that is online"
                )
            }
            Self::BadSpecifier => f.write_str("its interrupt controller does not understand the specifier"),
            Self::PublishedTwice(node) => write!(f, "interrupt controller {node} was published already"),
        }
    }
}

impl core::error::Error for LineError {}

static TAIL: Once<fn(&IrqsOff)> = Once::new();

/// Names what is called, still masked, when a pending interrupt was handled: the switch to a thread
/// that it woke. Only the first name counts.
pub fn set_tail(tail: fn(&IrqsOff)) {
    // A second scheduler would be a bug of start-up; the first one goes on working.
    let _ = TAIL.set(tail);
}

/// Handles the most urgent interrupt that is pending; for `Machine::on_interrupt`. Others come as soon as
/// interrupts are unmasked: they are too rare to ask for them each time.
pub fn entry(masked: &IrqsOff) {
    let since = Machine::ticks();
    let aside = Aside::new();
    if let Some(root) = domain::root()
        && let Some(irq) = root.chip().claim(masked)
    {
        root.dispatch(masked, irq);
    }
    load::add(masked, since);
    drop(aside);
    if let Some(tail) = TAIL.get() {
        tail(masked);
    }
}

#[cfg(test)]
mod tests;
