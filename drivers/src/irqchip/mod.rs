//! Interrupt controllers.

pub(crate) mod aplic;
mod distributor;
pub(crate) mod gicv2;
pub(crate) mod gicv3;
mod harts;
pub(crate) mod imsic;
pub(crate) mod plic;
pub(crate) mod riscv_intc;
pub(crate) mod sswi;

use alloc::boxed::Box;

use arch::{Machine, Virt};
use host_irq::{BadSpecifier, Line, Outcome, Trigger};
use isa_gic::Specifier;

use crate::{Declined, Node, clock};

/// Priority of lines whose driver asked for none: in the middle, and within what non-secure software may
/// set on all implementations.
const PRIORITY: u8 = 0xa0;

/// The interrupt and its trigger that a GIC's specifier means.
fn translate(cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
    let specifier = Specifier::parse(cells).map_err(|_| BadSpecifier)?;
    let trigger = match specifier.trigger {
        isa_gic::Trigger::Edge => Trigger::EdgeRising,
        isa_gic::Trigger::Level => Trigger::LevelHigh,
    };
    Ok((specifier.id.number(), trigger))
}

/// The number of the guests' timer interrupt.
fn guest_timer(node: &Node<'_>) -> Result<u32, Declined> {
    let cells = clock::armv8_timer::guest_timer(node.tree())?;
    let (irq, _) =
        translate(&cells).map_err(|_| Declined::broken("the timer's interrupt is none of a GIC"))?;
    Ok(irq)
}

/// Connects the maintenance interrupt, when the node has one. Without it guests run, but a list of more
/// interrupts than the hardware holds is only looked at when something else happens.
fn maintenance(node: &Node<'_>) -> Result<Option<Line>, Declined> {
    if !node.flag("interrupts") && !node.flag("interrupts-extended") {
        host_log::warn!("{}: property \"interrupts\" is missing: no maintenance interrupt", node.path());
        return Ok(None);
    }
    let line = node.irq(0)?.on(
        "gic-maintenance",
        Box::new(|masked, _| {
            Machine::interface_rang(masked);
            Outcome::Done
        }),
    )?;
    Ok(Some(line))
}

/// The phandle under which a chip is published.
fn phandle(node: &Node<'_>) -> Result<u32, Declined> {
    node.phandle().ok_or_else(|| Declined::broken("no node can name it: property \"phandle\" is missing"))
}
