//! The way into a guest and out of it.
//!
//! Going in, the callee-saved registers of our own lie on the stack with a pointer to the guest's on
//! top; the vectors find it there. Everything else of EL2 is still in place when a guest leaves, so an
//! exit that does not switch guests costs little more than storing 31 registers.

use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;

/// A guest's general-purpose registers, where the assembly finds them.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub(crate) struct Gprs {
    pub(crate) x: [u64; 31],
    pub(crate) pc: u64,
    pub(crate) pstate: u64,
}

/// What ended the guest's run: the kind of vector.
pub(super) const SYNCHRONOUS: u64 = 0;
/// A system error.
pub(super) const SERROR: u64 = 3;

/// Runs the guest until it leaves; says through which vector.
///
/// # Safety
/// Interrupts are masked; the guest's other registers and its stage 2 are in the hardware; `gprs` is
/// the guest's.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enter_guest(gprs: *mut Gprs) -> u64 {
    naked_asm!(
        "stp x29, x30, [sp, #-112]!",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "str x0, [sp, #96]",
        "ldp x30, x1, [x0, #{lr}]",
        "ldr x2, [x0, #{pstate}]",
        "msr elr_el2, x1",
        "msr spsr_el2, x2",
        "ldp x2, x3, [x0, #16]",
        "ldp x4, x5, [x0, #32]",
        "ldp x6, x7, [x0, #48]",
        "ldp x8, x9, [x0, #64]",
        "ldp x10, x11, [x0, #80]",
        "ldp x12, x13, [x0, #96]",
        "ldp x14, x15, [x0, #112]",
        "ldp x16, x17, [x0, #128]",
        "ldp x18, x19, [x0, #144]",
        "ldp x20, x21, [x0, #160]",
        "ldp x22, x23, [x0, #176]",
        "ldp x24, x25, [x0, #192]",
        "ldp x26, x27, [x0, #208]",
        "ldp x28, x29, [x0, #224]",
        "ldp x0, x1, [x0]",
        "eret",
        // No speculation past the return (straight-line speculation).
        "dsb nsh",
        "isb",
        lr = const offset_of!(Gprs, x) + 30 * 8,
        pstate = const offset_of!(Gprs, pstate),
    )
}

global_asm!(
    r#"
    .section .text.vectors, "ax"
    .global guest_exit_common
guest_exit_common:                      // x1 = kind; x0 and x1 of the guest on the stack
    ldr     x0, [sp, #112]
    stp     x2, x3, [x0, #16]
    stp     x4, x5, [x0, #32]
    stp     x6, x7, [x0, #48]
    stp     x8, x9, [x0, #64]
    stp     x10, x11, [x0, #80]
    stp     x12, x13, [x0, #96]
    stp     x14, x15, [x0, #112]
    stp     x16, x17, [x0, #128]
    stp     x18, x19, [x0, #144]
    stp     x20, x21, [x0, #160]
    stp     x22, x23, [x0, #176]
    stp     x24, x25, [x0, #192]
    stp     x26, x27, [x0, #208]
    stp     x28, x29, [x0, #224]
    ldp     x2, x3, [sp], #16
    stp     x2, x3, [x0]
    mrs     x2, elr_el2
    mrs     x3, spsr_el2
    stp     x30, x2, [x0, #{lr}]
    str     x3, [x0, #{pstate}]
    mov     x0, x1
    ldp     x19, x20, [sp, #16]
    ldp     x21, x22, [sp, #32]
    ldp     x23, x24, [sp, #48]
    ldp     x25, x26, [sp, #64]
    ldp     x27, x28, [sp, #80]
    ldp     x29, x30, [sp], #112
    ret
"#,
    lr = const offset_of!(Gprs, x) + 30 * 8,
    pstate = const offset_of!(Gprs, pstate),
);
