//! Which harts a RISC-V controller interrupts, as its node's `interrupts-extended` says: one element for each, the
//! harts' own controllers (`riscv,cpu-intc`) and a number in `sie`.

use alloc::boxed::Box;
use alloc::vec::Vec;

use arch::{IrqsOff, LocalIrqs, Machine};
use atomic::Arc;
use host_irq::{Chip, Domain, Line, Outcome};
use host_sync::Once;
use isa_plic::SUPERVISOR_EXTERNAL;

use crate::node::Irq;
use crate::{Declined, Node};

/// A hart that is interrupted, and which of the controller's contexts does that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hart {
    /// Its hart id.
    pub(super) id: u64,
    /// The element's place in the list.
    pub(super) place: u32,
}

/// The harts whose interrupt `cause` the controller raises.
pub(super) fn of(node: &Node<'_>, cause: u32) -> Result<Vec<Hart>, Declined> {
    let mut harts = Vec::new();
    for (place, reference) in (0..).zip(node.interrupts()?) {
        if reference.cells.get(0) != Some(cause) {
            continue;
        }
        let Some(cpu) = reference.node.parent() else { continue };
        harts.push(Hart { id: cpu.u64("reg")?, place });
    }
    Ok(harts)
}

/// The asking hart's interrupt `cause`, if the controller raises it. One that raises only machine mode's is the
/// firmware's.
pub(super) fn own_line(node: &Node<'_>, cause: u32) -> Result<Irq, Declined> {
    let harts = of(node, cause)?;
    if harts.is_empty() {
        return Err(Declined::NotMine);
    }
    let own = Machine::hardware_id(&IrqsOff::now());
    let Some(hart) = harts.iter().find(|hart| hart.id == own) else {
        let text = alloc::format!("property \"interrupts-extended\": has no hart {own}");
        return Err(Declined::Broken(text));
    };
    node.irq(hart.place as usize)
}

/// The controllers that raise harts' external interrupt: one, or one for each socket. Each hart asks them in turn, of
/// which one has a context for it.
static BELOW: [Once<Arc<Domain>>; 16] = [const { Once::new() }; 16];

/// The asking hart's external interrupt, if the controller raises it. `None` where it is that of other sockets' harts;
/// the controller of the hart that boots comes before those.
pub(super) fn external(node: &Node<'_>) -> Result<Option<Irq>, Declined> {
    let harts = of(node, SUPERVISOR_EXTERNAL)?;
    let own = Machine::hardware_id(&IrqsOff::now());
    if harts.is_empty() || harts.iter().any(|hart| hart.id == own) {
        return own_line(node, SUPERVISOR_EXTERNAL).map(Some);
    }
    if BELOW.iter().all(|below| below.get().is_none()) {
        return Err(Declined::Later(alloc::format!("a controller that interrupts hart {own}, which boots")));
    }
    Ok(None)
}

/// Publishes a controller of which [`external`] said `irq`. The line is that of all controllers, and the first one's to
/// keep.
pub(super) fn publish(
    node: &Node<'_>,
    irq: Option<Irq>,
    chip: Arc<dyn Chip>,
    phandle: u32,
) -> Result<Option<Line>, Declined> {
    let Some(place) = BELOW.iter().position(|below| below.get().is_none()) else {
        return Err(Declined::Broken(alloc::format!("there are {} controllers already", BELOW.len())));
    };
    let domain = host_irq::publish(chip, phandle)?;
    // Drivers start one after the other.
    let _ = BELOW.get(place).map(|below| below.set(domain));
    let Some(irq) = irq.filter(|_| place == 0) else { return Ok(None) };
    let handler = |masked: &IrqsOff, _| {
        for domain in BELOW.iter().map_while(Once::get) {
            // What is left interrupts again.
            if let Some(source) = domain.chip().claim(masked) {
                domain.dispatch(masked, source);
                break;
            }
        }
        Outcome::Done
    };
    irq.on(node.name(), Box::new(handler)).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(elements: &[u32]) -> fdt::Tree {
        let mut tree = fdt::Tree::new();
        let cpus = tree.add_path("/cpus").unwrap();
        tree.set(cpus, "#address-cells", 1u32).unwrap();
        for id in 0..2u32 {
            let cpu = tree.add(cpus, &alloc::format!("cpu@{id}")).unwrap();
            tree.set(cpu, "reg", id).unwrap();
            let intc = tree.add(cpu, "interrupt-controller").unwrap();
            tree.set(intc, "#interrupt-cells", 1u32).unwrap();
            tree.set(intc, "phandle", id + 1).unwrap();
        }
        let plic = tree.add_path("/plic").unwrap();
        tree.set(plic, "interrupts-extended", elements).unwrap();
        tree
    }

    #[test]
    fn the_contexts_of_supervisors_are_found_among_those_of_machine_mode() {
        let tree = tree(&[1, 11, 1, 9, 2, 11, 2, 9]);
        let harts = of(&Node::new(tree.find("/plic").unwrap()), 9).unwrap();
        assert_eq!(harts, [Hart { id: 0, place: 1 }, Hart { id: 1, place: 3 }]);
    }

    #[test]
    fn a_controller_of_machine_mode_is_not_ours() {
        let tree = tree(&[1, 11, 2, 11]);
        let node = Node::new(tree.find("/plic").unwrap());
        assert_eq!(own_line(&node, 9).err(), Some(Declined::NotMine));
        assert_eq!(external(&node).err(), Some(Declined::NotMine));
    }

    #[test]
    fn a_controller_of_another_socket_waits_for_that_of_the_hart_that_boots() {
        let mut tree = tree(&[1, 9]);
        let cpu = tree.find("/cpus/cpu@0").unwrap().id();
        tree.set(cpu, "reg", 0x1234u32).unwrap();
        let node = Node::new(tree.find("/plic").unwrap());
        assert!(matches!(external(&node), Err(Declined::Later(why)) if why.contains("boots")));
    }
}
