//! CPUs on and off (SBI, "Hart State Management").

use core::arch::asm;

use isa_firmware::sbi::{Error, Extension, hsm};

use super::firmware;
use super::head::secondary_entry;

/// The hart's id.
#[inline(always)]
pub(crate) fn own_id() -> u64 {
    let id;
    // SAFETY: start-up put it there, and nobody writes it.
    unsafe { asm!("mv {}, tp", out(reg) id, options(nomem, nostack, preserves_flags)) };
    id
}

/// What [`on`] and [`suspend`] say when all went well.
pub(crate) const DONE: i32 = 0;
/// What [`on`] says of a hart that runs.
pub(crate) const ALREADY_ON: i32 = Error::AlreadyAvailable as i32;
/// A [`state`].
pub(crate) const ON: i32 = hsm::State::Started as i32;
/// A [`state`].
pub(crate) const OFF: i32 = hsm::State::Stopped as i32;

/// Starts a hart with this argument; returns SBI's error.
pub(crate) fn on(id: u64, argument: u64) -> i32 {
    let entry = secondary_entry as unsafe extern "C" fn() as usize as u64;
    firmware::call(Extension::Hsm, hsm::HART_START, [id, entry, argument, 0]).0 as i32
}

/// Stops this hart.
pub(crate) fn off() {
    firmware::call(Extension::Hsm, hsm::HART_STOP, [0; 4]);
}

/// Whether a hart runs or is stopped, or why that is not known.
pub(crate) fn state(id: u64) -> i32 {
    let (error, state) = firmware::call(Extension::Hsm, hsm::HART_GET_STATUS, [id, 0, 0, 0]);
    if error == 0 { state as i32 } else { error as i32 }
}

/// Waits for an interrupt, masked or not; returns SBI's error.
pub(crate) fn suspend() -> i32 {
    firmware::call(Extension::Hsm, hsm::HART_SUSPEND, [hsm::SUSPEND_RETENTIVE.into(), 0, 0, 0]).0 as i32
}
