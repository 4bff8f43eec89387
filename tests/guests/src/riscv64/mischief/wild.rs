//! Jumps to where nothing is.

use core::arch::asm;
use core::ops::Range;

/// Nothing lies here in the guest.
pub(crate) const NOWHERE: u64 = 0x4000_0000;
/// The test device, the clock, the interrupt controllers, the UART and their neighbours; on the bare machine there
/// are more.
pub(crate) const DEVICES: Range<u64> = 0x0010_0000..0x4000_0000;

/// Jumps to `nowhere`, the vectors being there as well: nothing can ever be executed again.
pub(crate) fn lose_vectors(nowhere: u64) {
    // SAFETY: this guest has nothing more to lose.
    unsafe { asm!("csrw stvec, {nowhere}", "jr {nowhere}", nowhere = in(reg) nowhere) }
}

/// A call to where nothing is comes back.
pub(crate) fn call(address: u64) {
    // SAFETY: a call to nowhere comes back by the exception handler.
    unsafe { asm!("jalr {}", in(reg) 0x40_0000_0000 | address & 0xf_ffff_fff0, clobber_abi("C")) }
}
