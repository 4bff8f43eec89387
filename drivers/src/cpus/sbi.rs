//! The firmware of RISC-V: hart_start, hart_stop and hart_get_status of its Hart State Management extension (SBI,
//! chapter 9). A tree says nothing of it: it is what harts without an `enable-method` have.

use alloc::string::String;

use arch::{Boot, CpuStart, Machine};
use atomic::Arc;
use host_cpus::EnableMethod;
use isa_firmware::sbi::{Error, Extension, base, hsm};

pub(super) const METHOD: super::Method = super::Method { name: "sbi", of };

struct Hsm;

fn of(_node: fdt::Node<'_>) -> Result<Arc<dyn EnableMethod>, String> {
    let extension = Extension::Hsm.id().into();
    match call(Extension::Base, base::PROBE_EXTENSION, [extension, 0, 0]) {
        Ok(there) if there != 0 => Ok(Arc::new(Hsm)),
        _ => Err("the firmware cannot start harts (SBI HSM)".into()),
    }
}

/// The value that a call returns, or the error register.
fn call(extension: Extension, function: u32, [a0, a1, a2]: [u64; 3]) -> Result<u64, u64> {
    let registers = [a0, a1, a2, 0, 0, 0, function.into(), extension.id().into()];
    let not_there = Error::NotSupported as i64 as u64;
    let [error, value, ..] = Machine::call_firmware(registers).unwrap_or([not_there, 0, 0, 0]);
    if error == 0 { Ok(value) } else { Err(error) }
}

impl EnableMethod for Hsm {
    fn name(&self) -> &str {
        METHOD.name
    }

    fn start(&self, hardware_id: u64, start: CpuStart) -> Result<(), String> {
        let arguments = [hardware_id, start.entry.get(), start.argument];
        call(Extension::Hsm, hsm::HART_START, arguments).map(drop).map_err(
            |error| match Error::from_register(error) {
                Some(error) => alloc::format!("SBI hart_start: {error:?}"),
                None => alloc::format!("SBI hart_start: {error:#x}"),
            },
        )
    }

    fn can_stop(&self) -> bool {
        true
    }

    fn stop(&self) {
        // Returns only if it failed, and then the caller knows.
        let _ = call(Extension::Hsm, hsm::HART_STOP, [0; 3]);
    }

    fn is_off(&self, hardware_id: u64) -> bool {
        call(Extension::Hsm, hsm::HART_GET_STATUS, [hardware_id, 0, 0]) == Ok(hsm::State::Stopped as u64)
    }
}
