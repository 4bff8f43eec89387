//! Power control by a register of a system controller (Linux bindings `syscon-poweroff.yaml`, `syscon-reboot.yaml`):
//! a value is written to an offset of the node that `regmap` names.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use addr::Hpa;
use atomic::{Arc, Weak};
use host_mmio::Window;
use host_sync::Spin;
use vio::power::{self, Power, PowerControl};

use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const POWEROFF: Driver = Driver {
    name: "syscon-poweroff",
    class: "power",
    stage: Stage::Cpus,
    compatible: &["syscon-poweroff"],
    start: start_poweroff,
};

pub(crate) const REBOOT: Driver = Driver {
    name: "syscon-reboot",
    class: "power",
    stage: Stage::Cpus,
    compatible: &["syscon-reboot"],
    start: start_reboot,
};

fn start_poweroff(node: &Node<'_>) -> Result<Running, Declined> {
    start(node, Power::Off)
}

fn start_reboot(node: &Node<'_>) -> Result<Running, Declined> {
    start(node, Power::Reset)
}

struct Syscon {
    /// Not a name that a node can have, so that nobody else is withdrawn with it.
    name: String,
    registers: Arc<Window>,
    what: Power,
    offset: u64,
    value: u32,
    /// Which bits are written; the others stay.
    mask: u32,
}

struct Started(Arc<Syscon>);

fn start(node: &Node<'_>, what: Power) -> Result<Running, Declined> {
    let controller = node.require("regmap")?.phandle()?;
    let registers = shared(&Node::new(controller))?;
    // Older trees have the value in `mask`, and no `value` (binding `syscon-reboot.yaml`).
    let (value, mask) = match (node.property("value"), node.property("mask")) {
        (Some(value), mask) => (value.u32()?, mask.map_or(Ok(u32::MAX), |mask| mask.u32())?),
        (None, Some(mask)) => (mask.u32()?, u32::MAX),
        (None, None) => return Err(Declined::broken("property \"value\": is missing")),
    };
    let offset = node.u64_or("offset", 0)?;
    if offset % 4 != 0 || offset.checked_add(4).is_none_or(|end| end > registers.length()) {
        let text =
            alloc::format!("property \"offset\": {} has no register at {offset:#x}", controller.path());
        return Err(Declined::Broken(text));
    }
    let control = Arc::new(Syscon { name: node.path().to_string(), registers, what, offset, value, mask });
    power::publish(control.clone());
    Ok(Box::new(Started(control)))
}

/// The registers of a controller, which several nodes write to: claimed once, while anybody has them.
fn shared(controller: &Node<'_>) -> Result<Arc<Window>, Declined> {
    static CLAIMED: Spin<Vec<(Hpa, Weak<Window>)>> = Spin::new(Vec::new());
    let base = controller.span(0)?.base();
    let known = CLAIMED.lock().iter().find(|(at, _)| *at == base).and_then(|(_, window)| window.upgrade());
    if let Some(window) = known {
        return Ok(window);
    }
    let window = Arc::new(controller.window(0)?);
    let mut claimed = CLAIMED.lock();
    claimed.retain(|(_, window)| window.strong_count() > 0);
    claimed.push((base, Arc::downgrade(&window)));
    Ok(window)
}

impl PowerControl for Syscon {
    fn name(&self) -> &str {
        &self.name
    }

    fn act(&self, what: Power) {
        if what == self.what {
            let kept =
                if self.mask == u32::MAX { 0 } else { self.registers.read32(self.offset) & !self.mask };
            self.registers.write32(self.offset, kept | self.value & self.mask);
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        power::withdraw(&self.0.name);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use host_mmio::fake::Registers;

    use super::*;

    fn tree(base: u64) -> fdt::Tree {
        let mut tree = fdt::Tree::new();
        let root = tree.root().id();
        tree.set(root, "#address-cells", 2u32).unwrap();
        tree.set(root, "#size-cells", 2u32).unwrap();
        let test = tree.add(root, &format!("test@{base:x}")).unwrap();
        tree.set(test, "reg", [base, 0x1000].as_slice()).unwrap();
        tree.set(test, "phandle", 7u32).unwrap();
        for (name, value) in [("poweroff", 0x5555u32), ("reboot", 0x7777)] {
            let node = tree.add(root, name).unwrap();
            tree.set(node, "regmap", 7u32).unwrap();
            tree.set(node, "offset", 0u32).unwrap();
            tree.set(node, "value", value).unwrap();
        }
        tree
    }

    #[test]
    fn two_nodes_share_a_register_and_write_their_own_values() {
        let base = 0x0070_0000_0010_0000;
        let registers = Registers::new(0x1000);
        registers.install(Hpa::new(base));
        let tree = tree(base);
        let off = start_poweroff(&Node::new(tree.find("/poweroff").unwrap())).unwrap();
        let reboot = start_reboot(&Node::new(tree.find("/reboot").unwrap())).unwrap();
        power::act(Power::Off);
        assert_eq!(registers.writes(), [(0, 0x5555)]);
        power::act(Power::Reset);
        assert_eq!(registers.writes(), [(0, 0x7777)]);
        drop((off, reboot));
        power::act(Power::Off);
        assert_eq!(registers.writes(), []);
        host_mmio::Window::claim(
            Node::new(tree.find(&format!("/test@{base:x}")).unwrap()).span(0).unwrap(),
            "me",
        )
        .unwrap();
    }

    #[test]
    fn a_register_that_is_not_there_is_named() {
        let base = 0x0070_0000_0020_0000;
        Registers::new(0x1000).install(Hpa::new(base));
        let mut tree = tree(base);
        let node = tree.find("/reboot").unwrap().id();
        tree.set(node, "offset", 0x1000u32).unwrap();
        let declined = start_reboot(&Node::new(tree.find("/reboot").unwrap())).err();
        let expected = format!("property \"offset\": /test@{base:x} has no register at 0x1000");
        assert_eq!(declined, Some(Declined::Broken(expected)));
    }
}
