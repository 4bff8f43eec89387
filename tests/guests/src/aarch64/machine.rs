//! What the device tree says of this machine beside what all have.

use fdt::{Early, EarlyNode};

use super::firmware::{self, Conduit};
use super::gic::Gic;

/// The console's model.
pub(crate) const UART: &str = "arm,pl011";
/// The real-time clock's.
pub(crate) const RTC: &str = "arm,pl031";

/// Devices of the bare machine that may be written with anything: others reach for memory, or let QEMU
/// allocate without bound. A guest's devices all have to bear it.
pub(crate) const HARMLESS: &[&str] = &[UART, RTC, "arm,gic-v3", "arm,cortex-a15-gic"];

/// What is found.
pub(crate) struct Parts {
    /// The interrupt controller.
    pub(crate) gic: Gic,
    /// How firmware is called.
    pub(crate) conduit: Conduit,
}

impl Parts {
    pub(crate) fn read(tree: Early<'_>) -> Option<Self> {
        let compatible = |model: &'static str| tree.nodes().find(move |node| node.is_compatible(model));
        let register = |node: EarlyNode<'_>| node.reg().next().map(|region| region.start);
        let gic = match compatible("arm,gic-v3") {
            Some(node) => Gic::V3 { distributor: register(node)?, redistributors: node.reg().nth(1)?.start },
            None => {
                let node = compatible("arm,cortex-a15-gic").or_else(|| compatible("arm,gic-400"))?;
                Gic::V2 { distributor: register(node)?, interface: node.reg().nth(1)?.start }
            }
        };
        let smc =
            compatible("arm,psci-1.0").or_else(|| compatible("arm,psci-0.2"))?.str("method") == Some("smc");
        let conduit = if smc { Conduit::Smc } else { Conduit::Hvc };
        Some(Self { gic, conduit })
    }

    /// Whether a hypervisor says that it is there.
    pub(crate) fn is_hypervised(&self) -> bool {
        firmware::is_hypervised(self.conduit)
    }
}
