//! CPUs on and off (SBI, "Hart State Management").

use core::arch::asm;

use isa_firmware::sbi::{Extension, hsm};

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

/// Starts a hart with this argument; returns SBI's error.
pub(crate) fn on(id: u64, argument: u64) -> i32 {
    let entry = secondary_entry as unsafe extern "C" fn() as usize as u64;
    firmware::call(Extension::Hsm, hsm::HART_START, [id, entry, argument, 0]).0 as i32
}

/// Stops this hart.
pub(crate) fn off() {
    firmware::call(Extension::Hsm, hsm::HART_STOP, [0; 4]);
}

/// Whether a hart is stopped.
pub(crate) fn is_off(id: u64) -> bool {
    firmware::call(Extension::Hsm, hsm::HART_GET_STATUS, [id, 0, 0, 0]) == (0, hsm::State::Stopped as u64)
}

/// Waits for an interrupt, masked or not; returns SBI's error.
pub(crate) fn suspend() -> i32 {
    firmware::call(Extension::Hsm, hsm::HART_SUSPEND, [hsm::SUSPEND_RETENTIVE.into(), 0, 0, 0]).0 as i32
}
