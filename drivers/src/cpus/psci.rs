//! PSCI (ARM DEN 0022): CPU_ON, CPU_OFF, AFFINITY_INFO.

use alloc::string::String;

use arch::{Boot, CpuStart, Machine};
use atomic::Arc;
use host_cpus::EnableMethod;
use isa_firmware::psci::{self, AffinityInfo, Status};

pub(super) const METHOD: super::Method = super::Method { name: "psci", of };

struct Psci;

fn of(node: fdt::Node<'_>) -> Result<Arc<dyn EnableMethod>, String> {
    let firmware = node.tree().compatible(&["arm,psci-1.0", "arm,psci-0.2"]);
    match firmware.and_then(|firmware| firmware.str_opt("method").ok().flatten()) {
        Some("smc") => Ok(Arc::new(Psci)),
        Some(other) => Err(alloc::format!("PSCI by \"{other}\" does not lead to the firmware from here")),
        None => Err("the tree has no arm,psci-0.2 that says how it is called".into()),
    }
}

/// The first result of a call.
fn call(function: u32, first: u64, second: u64, third: u64) -> u64 {
    let arguments = [u64::from(function), first, second, third, 0, 0, 0, 0];
    Machine::call_firmware(arguments).map_or(Status::NotSupported.register(), |[result, ..]| result)
}

impl EnableMethod for Psci {
    fn name(&self) -> &str {
        METHOD.name
    }

    fn start(&self, hardware_id: u64, start: CpuStart) -> Result<(), String> {
        let result = call(psci::CPU_ON_64, hardware_id, start.entry.get(), start.argument);
        match Status::from_register(result) {
            Some(Status::Success) => Ok(()),
            Some(status) => Err(alloc::format!("PSCI CPU_ON: {status:?}")),
            None => Err(alloc::format!("PSCI CPU_ON: {result:#x}")),
        }
    }

    fn can_stop(&self) -> bool {
        true
    }

    fn stop(&self) {
        call(psci::CPU_OFF, 0, 0, 0);
    }

    fn is_off(&self, hardware_id: u64) -> bool {
        call(psci::AFFINITY_INFO_64, hardware_id, 0, 0) == AffinityInfo::Off as u64
    }
}
