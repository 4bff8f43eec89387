//! Jumps to where nothing is.

use core::arch::asm;
use core::ops::Range;

/// Nothing lies here in the guest.
pub(crate) const NOWHERE: u64 = 0x1000_0000;
/// The interrupt controller, the UART and their neighbours.
pub(crate) const DEVICES: Range<u64> = 0x0800_0000..0x0b00_0000;

/// Jumps to `nowhere`, the vectors being there as well: nothing can ever be executed again.
pub(crate) fn lose_vectors(nowhere: u64) {
    // SAFETY: this guest has nothing more to lose. With its MMU off, nothing of its own is asked
    // before the hypervisor's memory map.
    unsafe {
        asm!(
            "msr vbar_el1, {nowhere}",
            "mov {sctlr}, #0x0800",
            "movk {sctlr}, #0x30d0, lsl #16",
            "msr sctlr_el1, {sctlr}",
            "isb",
            "br {nowhere}",
            nowhere = in(reg) nowhere, sctlr = out(reg) _,
        )
    }
}

/// A call to where nothing is comes back.
pub(crate) fn call(address: u64) {
    // Here nothing lies on the bare machine either, and our own map lets it be executed.
    // SAFETY: a call to nowhere comes back by the exception handler.
    unsafe { asm!("blr {}", in(reg) 0x30_0000_0000 | address & 0xf_ffff_fff0, clobber_abi("C")) }
}
