//! A node of the host's device tree, as a driver sees it: what it asks for it owns, or is told in words
//! that name the property why it cannot have it.

use addr::{Hpa, Span};
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Deref;

use host_irq::{Handler, Line, LineError, Trigger};
use host_mem::ClaimError;
use host_mmio::Window;

use crate::Declined;

/// A node that a driver is started on. It dereferences to the tree's view of it, for other properties.
pub struct Node<'t>(fdt::Node<'t>);

/// An interrupt that a node names and nobody has taken yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Irq {
    number: u32,
    trigger: Trigger,
}

impl<'t> Node<'t> {
    pub(crate) fn new(node: fdt::Node<'t>) -> Self {
        Self(node)
    }

    /// The name with its unit address, by which the device is known: `pl011@9000000`.
    pub fn name(&self) -> &'t str {
        self.0.name()
    }

    /// Where the device's registers are: element `index` of `reg`.
    ///
    /// # Errors
    /// `reg` has no such element, is misshapen, or its bus does not reach the processor.
    pub fn span(&self, index: usize) -> Result<Span<Hpa>, Declined> {
        let region = self.0.region(index)?;
        Span::<Hpa>::new(Hpa::new(region.start), region.size).filter(|span| span.length() != 0).ok_or_else(
            || Declined::Broken(alloc::format!("property \"reg\": element {index} is empty or wraps")),
        )
    }

    /// The registers of element `index` of `reg`, for this driver alone.
    ///
    /// # Errors
    /// As [`Node::span`]; or somebody has them already.
    pub fn window(&self, index: usize) -> Result<Window, Declined> {
        self.window_at(self.span(index)?)
    }

    /// Registers that are part of the device though not an element of `reg` of their own.
    ///
    /// # Errors
    /// Somebody has them already.
    pub fn window_at(&self, span: Span<Hpa>) -> Result<Window, Declined> {
        Ok(Window::claim(span, self.name())?)
    }

    /// Interrupt `index` of the node.
    ///
    /// # Errors
    /// There is no such interrupt, or its controller does not understand it; [`Declined::Later`] while its
    /// controller has no driver.
    pub fn irq(&self, index: usize) -> Result<Irq, Declined> {
        Irq::of(self.0.interrupt(index)?)
    }

    /// The interrupt that `interrupt-names` gives this name; where nothing is named, interrupt `index`.
    ///
    /// # Errors
    /// As [`Node::irq`].
    pub fn irq_named(&self, name: &str, index: usize) -> Result<Irq, Declined> {
        if self.0.flag("interrupt-names") { Irq::of(self.0.interrupt_named(name)?) } else { self.irq(index) }
    }
}

impl<'t> Deref for Node<'t> {
    type Target = fdt::Node<'t>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Irq {
    fn of(reference: fdt::Reference<'_>) -> Result<Self, Declined> {
        let later = || Declined::Later(reference.node.path());
        let phandle = reference.node.phandle().ok_or_else(later)?;
        let cells: Vec<u32> = reference.cells.iter().collect();
        match host_irq::translate(phandle, &cells) {
            Ok((number, trigger)) => Ok(Self { number, trigger }),
            Err(LineError::Later) => Err(later()),
            Err(other) => Err(Declined::broken(alloc::format!("property \"interrupts\": {other}"))),
        }
    }

    /// Takes the line for `owner` and lets it come.
    ///
    /// # Errors
    /// Somebody has it already.
    pub fn on(self, owner: &str, handler: Handler) -> Result<Line, Declined> {
        Ok(Line::on(self.number, self.trigger, owner, handler)?)
    }
}

impl From<fdt::Error> for Declined {
    fn from(error: fdt::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<ClaimError> for Declined {
    fn from(error: ClaimError) -> Self {
        Self::Broken(alloc::format!("property \"reg\": {error}"))
    }
}

impl From<LineError> for Declined {
    fn from(error: LineError) -> Self {
        Self::Broken(alloc::format!("property \"interrupts\": {error}"))
    }
}
