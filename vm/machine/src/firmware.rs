//! What the tree says of the guest's firmware.
//!
//! ```dts
//! cpus {
//!     xvisor,sbi-without = "pmu", "sta"; // extensions of the SBI that the guest does not get
//! };
//! ```

use fdt::{Error, Tree};
use isa_firmware::sbi::Extension;
use vio::serial::Serial;
use vm_vcpu::sbi::Settings;

use crate::plan::Plan;

const WITHOUT: &str = "xvisor,sbi-without";
/// Stands for all extensions of version 0.1.
const LEGACY: &str = "legacy";
/// The serial port that the debug console leads to.
const CONSOLE: &str = "sbi";

/// Reads it. Guests whose CPUs are RISC-V's get a console of the firmware's.
pub(crate) fn settings(plan: &mut Plan, tree: &Tree) -> Result<Settings, Error> {
    let cpus = tree.require("/cpus")?;
    plan.take(cpus, WITHOUT);
    let mut without = 0;
    if let Some(property) = cpus.property(WITHOUT) {
        for name in property.strings()? {
            without |= match Extension::named(name) {
                _ if name == LEGACY => legacy(),
                // How a guest finds out what there is.
                Some(Extension::Base) => return Err(property.error("\"base\" is always there")),
                Some(extension) => extension.bit(),
                None => {
                    return Err(property.error(alloc::format!("there is no extension \"{name}\"")));
                }
            };
        }
    }
    let console = if cpus.children().any(|cpu| cpu.is_compatible("riscv")) {
        let serial = Serial::new(&alloc::format!("{}/{CONSOLE}", plan.name));
        plan.serials.push(serial.clone());
        Some(serial)
    } else {
        None
    };
    Ok(Settings { without, console, memory: plan.ram.clone() })
}

fn legacy() -> u32 {
    Extension::ALL.iter().filter(|extension| extension.is_legacy()).map(|extension| extension.bit()).sum()
}
