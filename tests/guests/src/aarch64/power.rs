//! CPUs on and off (PSCI).

use isa_firmware::psci;

use super::firmware;
use super::head::secondary_entry;
use super::registers::affinity;

/// What PSCI calls this CPU.
#[inline(always)]
pub(crate) fn own_id() -> u64 {
    affinity()
}

/// Powers on a CPU with this argument; returns PSCI's status.
pub(crate) fn on(id: u64, argument: u64) -> i32 {
    let entry = secondary_entry as unsafe extern "C" fn() as usize as u64;
    firmware::status(psci::CPU_ON_64, [id, entry, argument])
}

/// Powers this CPU off.
pub(crate) fn off() {
    firmware::call(psci::CPU_OFF, [0; 3]);
}

/// Whether a CPU is off (DEN 0022F.b, 5.7).
pub(crate) fn is_off(id: u64) -> bool {
    firmware::status(psci::AFFINITY_INFO_64, [id, 0, 0]) == psci::AffinityInfo::Off as i32
}

/// Waits for an interrupt, masked or not; returns PSCI's status.
pub(crate) fn suspend() -> i32 {
    firmware::status(psci::CPU_SUSPEND_64, [0; 3])
}
