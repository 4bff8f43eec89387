//! Switching threads: what the procedure call standard lets a callee change is saved by the compiler; the
//! rest (s0 to s11, ra and the stack pointer) here.

use core::arch::naked_asm;

use arch_api::{Context, IrqsOff};
use arch_parts::stack::{self, Saved};

use crate::Riscv64;

/// Words that [`switch`] keeps on the stack: ra, s0 to s11, and one for the alignment.
const FRAME: usize = 14;

impl Context for Riscv64 {
    type Saved = Saved;

    unsafe fn prepare(stack_top: *mut u8, entry: extern "C-unwind" fn(usize) -> !, argument: usize) -> Saved {
        let mut words = [0; FRAME];
        // ra, then s0 (no frame above), s1, s2.
        [words[0], words[2], words[3]] = [first_entry as *const () as usize, entry as usize, argument];
        // SAFETY: the caller's promise.
        unsafe { stack::lay(stack_top, words) }
    }

    #[inline]
    unsafe fn switch(from: *mut Saved, to: *mut Saved, _masked: &IrqsOff<Self>) {
        // SAFETY: the caller's promise is this function's.
        unsafe { switch(from, to) }
    }
}

#[unsafe(naked)]
unsafe extern "C" fn switch(from: *mut Saved, to: *mut Saved) {
    naked_asm!(
        "addi sp, sp, -112",
        "sd ra, 0(sp)",
        "sd s0, 8(sp)",
        "sd s1, 16(sp)",
        "sd s2, 24(sp)",
        "sd s3, 32(sp)",
        "sd s4, 40(sp)",
        "sd s5, 48(sp)",
        "sd s6, 56(sp)",
        "sd s7, 64(sp)",
        "sd s8, 72(sp)",
        "sd s9, 80(sp)",
        "sd s10, 88(sp)",
        "sd s11, 96(sp)",
        "sd sp, 0(a0)",
        "ld sp, 0(a1)",
        "ld ra, 0(sp)",
        "ld s0, 8(sp)",
        "ld s1, 16(sp)",
        "ld s2, 24(sp)",
        "ld s3, 32(sp)",
        "ld s4, 40(sp)",
        "ld s5, 48(sp)",
        "ld s6, 56(sp)",
        "ld s7, 64(sp)",
        "ld s8, 72(sp)",
        "ld s9, 80(sp)",
        "ld s10, 88(sp)",
        "ld s11, 96(sp)",
        "addi sp, sp, 112",
        "ret",
    )
}

/// Where a new thread's first switch returns to: s1 is its entry, s2 the argument.
#[unsafe(naked)]
unsafe extern "C" fn first_entry() -> ! {
    naked_asm!("mv a0, s2", "li s0, 0", "li ra, 0", "jr s1")
}
