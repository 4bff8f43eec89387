//! The Arm generic timer (DDI 0487, chapter D12): the hypervisor's own alarm, and the guests' timer.
//!
//! The counters are registers of the processor and so the architecture's; this driver connects their
//! interrupts. The node lists them in this order: secure physical, physical, virtual, hypervisor physical,
//! hypervisor virtual (Linux bindings, `arm,arch_timer.yaml`).

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{Machine, Virt};
use host_irq::{Line, Outcome};

use crate::{Declined, Driver, Node, Running, Stage};

const COMPATIBLE: &[&str] = &["arm,armv8-timer", "arm,armv7-timer"];

pub(crate) const DRIVER: Driver =
    Driver { name: "armv8-timer", class: "clock", stage: Stage::Clock, compatible: COMPATIBLE, start };

/// Positions in `interrupts`, with their names in `interrupt-names`.
const VIRTUAL: (&str, usize) = ("virt", 2);
const HYPERVISOR: (&str, usize) = ("hyp-phys", 3);

struct Timer {
    _alarm: Line,
    _guests: Line,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let alarm = node.irq_named(HYPERVISOR.0, HYPERVISOR.1)?;
    let guests = node.irq_named(VIRTUAL.0, VIRTUAL.1)?;
    let guests = guests.on(
        "guest-timer",
        Box::new(
            |masked, irq| if Machine::guest_timer_rang(masked, irq) { Outcome::Keep } else { Outcome::Done },
        ),
    )?;
    let alarm = alarm.on(
        node.name(),
        Box::new(|masked, _| {
            host_thread::time::on_alarm(masked);
            Outcome::Done
        }),
    )?;
    Ok(Box::new(Timer { _alarm: alarm, _guests: guests }))
}

/// The specifier of the guests' timer interrupt, which the interrupt controller's driver must know before
/// this one starts.
pub(crate) fn guest_timer(tree: &fdt::Tree) -> Result<Vec<u32>, Declined> {
    let node =
        tree.compatible(COMPATIBLE).ok_or_else(|| Declined::broken("the tree has no arm,armv8-timer"))?;
    let reference = if node.flag("interrupt-names") {
        node.interrupt_named(VIRTUAL.0)?
    } else {
        node.interrupt(VIRTUAL.1)?
    };
    Ok(reference.cells.iter().collect())
}
