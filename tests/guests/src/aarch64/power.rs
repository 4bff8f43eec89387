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

/// What [`on`] and [`suspend`] say when all went well.
pub(crate) const DONE: i32 = psci::Status::Success as i32;
/// What [`on`] says of a CPU that is on.
pub(crate) const ALREADY_ON: i32 = psci::Status::AlreadyOn as i32;
/// A [`state`].
pub(crate) const ON: i32 = psci::AffinityInfo::On as i32;
/// A [`state`].
pub(crate) const OFF: i32 = psci::AffinityInfo::Off as i32;

/// Powers on a CPU with this argument; returns PSCI's status.
pub(crate) fn on(id: u64, argument: u64) -> i32 {
    let entry = secondary_entry as unsafe extern "C" fn() as usize as u64;
    firmware::status(psci::CPU_ON_64, [id, entry, argument])
}

/// Powers this CPU off.
pub(crate) fn off() {
    firmware::call(psci::CPU_OFF, [0; 3]);
}

/// Whether a CPU is on or off, or why that is not known (DEN 0022F.b, 5.7).
pub(crate) fn state(id: u64) -> i32 {
    firmware::status(psci::AFFINITY_INFO_64, [id, 0, 0])
}

/// Waits for an interrupt, masked or not; returns PSCI's status.
pub(crate) fn suspend() -> i32 {
    firmware::status(psci::CPU_SUSPEND_64, [0; 3])
}
