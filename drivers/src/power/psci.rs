//! The firmware's power control: PSCI (ARM DEN 0022), called by SMC.

use alloc::boxed::Box;

use arch::{Boot, Machine};
use atomic::Arc;
use isa_firmware::psci;
use vio::power::{self, Power, PowerControl};

use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "psci",
    class: "power",
    stage: Stage::Cpus,
    compatible: &["arm,psci-1.0", "arm,psci-0.2"],
    start,
};

struct Psci;

struct Started;

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    match node.str("method")? {
        "smc" => {}
        other => {
            return Err(Declined::Broken(alloc::format!(
                "property \"method\": \"{other}\" does not lead to the firmware from here, only \"smc\" does"
            )));
        }
    }
    let version = call(psci::VERSION).ok_or_else(|| Declined::broken("the firmware does not answer"))?;
    host_log::init!("PSCI v{}.{} detected in firmware.", version >> 16 & 0x7fff, version & 0xffff);
    power::publish(Arc::new(Psci));
    Ok(Box::new(Started))
}

/// The first result, of which 32 bits count.
fn call(function: u32) -> Option<u32> {
    let [result, ..] = Machine::call_firmware([u64::from(function), 0, 0, 0, 0, 0, 0, 0])?;
    // NOT_SUPPORTED and its like are negative.
    let result = result as u32;
    (result >> 31 == 0).then_some(result)
}

impl PowerControl for Psci {
    fn name(&self) -> &str {
        DRIVER.name
    }

    fn act(&self, what: Power) {
        // What comes back did not work, whatever it says.
        let _ = call(match what {
            Power::Off => psci::SYSTEM_OFF,
            Power::Reset => psci::SYSTEM_RESET,
        });
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        power::withdraw(DRIVER.name);
    }
}
