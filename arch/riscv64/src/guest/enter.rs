//! The way into a guest and out of it.
//!
//! Going in, the callee-saved registers of our own lie on the stack, whose pointer is kept beside the guest's
//! registers; `sscratch` leads `traps` to these. Everything else of HS mode is still in place when a guest
//! leaves, so an exit that does not switch guests costs little more than storing 31 registers.

use core::arch::{global_asm, naked_asm};
use core::mem::offset_of;

/// A guest's general-purpose registers, where the assembly finds them.
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub(crate) struct Gprs {
    /// x0 to x31; the first is never read.
    pub(crate) x: [u64; 32],
    pub(crate) pc: u64,
    /// `sstatus` as it was when the guest left: its mode (SPP), and whether it changed floating-point and vector
    /// registers.
    pub(crate) sstatus: u64,
    /// Our own stack pointer while the guest runs.
    pub(super) own_stack: u64,
    /// The address of the block of the CPU that the guest's registers are loaded on, which `tp` holds in our own code.
    pub(super) own_cpu: u64,
}

/// Runs the guest until it leaves; says by which `scause`.
///
/// # Safety
/// Interrupts are masked; the guest's other registers and its memory map are in the hardware; `gprs` is the
/// guest's.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enter_guest(gprs: *mut Gprs) -> u64 {
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
        "sd sp, {own_stack}(a0)",
        "csrw sscratch, a0",
        "ld t0, {pc}(a0)",
        "ld t1, {sstatus}(a0)",
        "li t2, {spv}",
        "csrw sepc, t0",
        "csrw sstatus, t1",
        "csrs hstatus, t2",
        "ld x1, 8(a0)",
        "ld x2, 16(a0)",
        "ld x3, 24(a0)",
        "ld x4, 32(a0)",
        "ld x5, 40(a0)",
        "ld x6, 48(a0)",
        "ld x7, 56(a0)",
        "ld x8, 64(a0)",
        "ld x9, 72(a0)",
        "ld x11, 88(a0)",
        "ld x12, 96(a0)",
        "ld x13, 104(a0)",
        "ld x14, 112(a0)",
        "ld x15, 120(a0)",
        "ld x16, 128(a0)",
        "ld x17, 136(a0)",
        "ld x18, 144(a0)",
        "ld x19, 152(a0)",
        "ld x20, 160(a0)",
        "ld x21, 168(a0)",
        "ld x22, 176(a0)",
        "ld x23, 184(a0)",
        "ld x24, 192(a0)",
        "ld x25, 200(a0)",
        "ld x26, 208(a0)",
        "ld x27, 216(a0)",
        "ld x28, 224(a0)",
        "ld x29, 232(a0)",
        "ld x30, 240(a0)",
        "ld x31, 248(a0)",
        "ld a0, 80(a0)",
        "sret",
        own_stack = const offset_of!(Gprs, own_stack),
        pc = const offset_of!(Gprs, pc),
        sstatus = const offset_of!(Gprs, sstatus),
        spv = const crate::csr::hstatus::SPV,
    )
}

global_asm!(
    r#"
    .section .text.vectors, "ax"
    .global guest_exit
guest_exit:                             # a0 = the guest's registers, its own a0 in sscratch
    sd      x1, 8(a0)
    sd      x2, 16(a0)
    sd      x3, 24(a0)
    sd      x4, 32(a0)
    sd      x5, 40(a0)
    sd      x6, 48(a0)
    sd      x7, 56(a0)
    sd      x8, 64(a0)
    sd      x9, 72(a0)
    sd      x11, 88(a0)
    sd      x12, 96(a0)
    sd      x13, 104(a0)
    sd      x14, 112(a0)
    sd      x15, 120(a0)
    sd      x16, 128(a0)
    sd      x17, 136(a0)
    sd      x18, 144(a0)
    sd      x19, 152(a0)
    sd      x20, 160(a0)
    sd      x21, 168(a0)
    sd      x22, 176(a0)
    sd      x23, 184(a0)
    sd      x24, 192(a0)
    sd      x25, 200(a0)
    sd      x26, 208(a0)
    sd      x27, 216(a0)
    sd      x28, 224(a0)
    sd      x29, 232(a0)
    sd      x30, 240(a0)
    sd      x31, 248(a0)
    csrrw   t0, sscratch, zero
    csrr    t1, sepc
    csrr    t2, sstatus
    sd      t0, 80(a0)
    sd      t1, {pc}(a0)
    sd      t2, {sstatus}(a0)
    ld      sp, {own_stack}(a0)
    ld      ra, 0(sp)
    ld      s0, 8(sp)
    ld      s1, 16(sp)
    ld      s2, 24(sp)
    ld      s3, 32(sp)
    ld      s4, 40(sp)
    ld      s5, 48(sp)
    ld      s6, 56(sp)
    ld      s7, 64(sp)
    ld      s8, 72(sp)
    ld      s9, 80(sp)
    ld      s10, 88(sp)
    ld      s11, 96(sp)
    ld      tp, {own_cpu}(a0)
    csrr    a0, scause
    addi    sp, sp, 112
    ret
"#,
    own_cpu = const offset_of!(Gprs, own_cpu),
    own_stack = const offset_of!(Gprs, own_stack),
    pc = const offset_of!(Gprs, pc),
    sstatus = const offset_of!(Gprs, sstatus),
);
