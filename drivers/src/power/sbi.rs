//! The firmware's power control on RISC-V: SRST of the SBI (riscv-sbi-doc, chapter 10). No node of a tree describes the
//! firmware; the processor's driver starts this.

use arch::{Boot, Machine};
use atomic::Arc;
use isa_firmware::sbi::{Error, Extension, base, srst};
use vio::power::{self, Power, PowerControl};

const NAME: &str = "sbi";

struct Srst;

/// Kept while it is in use.
pub(crate) struct Started;

/// Says which firmware there is, and publishes its power control if it has any.
pub(crate) fn start() -> Option<Started> {
    let version = call(Extension::Base, base::GET_SPEC_VERSION, [0, 0])?;
    host_log::init!("SBI v{}.{} detected in firmware.", version >> 24 & 0x7f, version & 0xff_ffff);
    for extension in isa_rv::extensions::Extension::ALL.iter().filter(|known| Machine::lacks(known.name())) {
        host_log::warn!("{}: in the device tree, but not there, or kept by the firmware", extension.name());
    }
    if call(Extension::Base, base::PROBE_EXTENSION, [Extension::Srst.id().into(), 0])? == 0 {
        return None;
    }
    power::publish(Arc::new(Srst));
    Some(Started)
}

/// The value that a call returns, if it succeeds.
fn call(extension: Extension, function: u32, [first, second]: [u64; 2]) -> Option<u64> {
    let registers = [first, second, 0, 0, 0, 0, function.into(), extension.id().into()];
    let [error, value, ..] = Machine::call_firmware(registers)?;
    (Error::from_register(error) == Some(Error::Success)).then_some(value)
}

impl PowerControl for Srst {
    fn name(&self) -> &str {
        NAME
    }

    fn act(&self, what: Power) {
        let kind = match what {
            Power::Off => srst::SHUTDOWN,
            Power::Reset => srst::COLD_REBOOT,
        };
        // What comes back did not work, whatever it says.
        let _ = call(Extension::Srst, srst::SYSTEM_RESET, [kind.into(), srst::NO_REASON.into()]);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        power::withdraw(NAME);
    }
}
