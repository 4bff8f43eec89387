//! Switching threads: what the procedure call standard lets a callee change is saved by the compiler;
//! the rest (x19 to x30 and the stack pointer) here.

use core::arch::naked_asm;

use arch_api::{Context, IrqsOff};
use arch_parts::stack::{self, Saved};

use crate::Aarch64;

impl Context for Aarch64 {
    type Saved = Saved;

    unsafe fn prepare(stack_top: *mut u8, entry: extern "C-unwind" fn(usize) -> !, argument: usize) -> Saved {
        // What `switch` keeps: x19 and x20 come first, x29 and x30 last.
        let words = [entry as usize, argument, 0, 0, 0, 0, 0, 0, 0, 0, 0, first_entry as *const () as usize];
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
        "stp x19, x20, [sp, #-96]!",
        "stp x21, x22, [sp, #16]",
        "stp x23, x24, [sp, #32]",
        "stp x25, x26, [sp, #48]",
        "stp x27, x28, [sp, #64]",
        "stp x29, x30, [sp, #80]",
        "mov x9, sp",
        "str x9, [x0]",
        "ldr x9, [x1]",
        "mov sp, x9",
        "ldp x21, x22, [sp, #16]",
        "ldp x23, x24, [sp, #32]",
        "ldp x25, x26, [sp, #48]",
        "ldp x27, x28, [sp, #64]",
        "ldp x29, x30, [sp, #80]",
        "ldp x19, x20, [sp], #96",
        "ret",
    )
}

/// Where a new thread's first switch returns to: x19 is its entry, x20 the argument.
#[unsafe(naked)]
unsafe extern "C" fn first_entry() -> ! {
    naked_asm!("mov x0, x20", "mov x29, xzr", "mov x30, xzr", "br x19")
}
