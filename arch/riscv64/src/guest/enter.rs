//! The way into a guest and out of it, and the trap vector (Priv, "Supervisor Trap Vector Base Address Register").
//!
//! Going in, four of our own registers are kept beside the guest's, and `sscratch` leads the vector to them. Everything
//! else of HS mode is still in place when a guest leaves, so an exit that does not switch guests costs little more than
//! storing 31 registers.

use core::arch::{asm, global_asm};
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
    /// Our own ra, sp, s0 and s1 while the guest runs.
    pub(super) own: [u64; 4],
    /// The address of the block of the CPU that the guest's registers are loaded on, which `tp` holds in our own code.
    pub(super) own_cpu: u64,
}

/// Runs the guest until it leaves; says by which `scause`.
///
/// # Safety
/// Interrupts are masked; the guest's other registers and its memory map are in the hardware; `gprs` is the
/// guest's.
#[inline(always)]
pub(super) unsafe fn enter_guest(gprs: *mut Gprs) -> u64 {
    let scause;
    // SAFETY: the caller's; `guest_enter` gives back the registers that are not named here. It is up to the compiler
    // which of the others it keeps: it saves them once for a whole run, and few are wanted after an exit.
    unsafe {
        asm!(
            "call guest_enter",
            inlateout("a0") gprs => scause,
            out("x18") _, out("x19") _, out("x20") _, out("x21") _, out("x22") _,
            out("x23") _, out("x24") _, out("x25") _, out("x26") _, out("x27") _,
            clobber_abi("C"),
        );
    }
    scause
}

global_asm!(
    r#"
    .section .text.vectors, "ax"
    .global guest_enter
guest_enter:                            # a0 = the guest's registers
    sd      ra, {own}(a0)
    sd      sp, {own} + 8(a0)
    sd      s0, {own} + 16(a0)
    sd      s1, {own} + 24(a0)
    csrw    sscratch, a0
    ld      t0, {pc}(a0)
    ld      t1, {sstatus}(a0)
    li      t2, {spv}
    csrw    sepc, t0
    csrw    sstatus, t1
    csrs    hstatus, t2
    ld      x1, 8(a0)
    ld      x2, 16(a0)
    ld      x3, 24(a0)
    ld      x4, 32(a0)
    ld      x5, 40(a0)
    ld      x6, 48(a0)
    ld      x7, 56(a0)
    ld      x8, 64(a0)
    ld      x9, 72(a0)
    ld      x11, 88(a0)
    ld      x12, 96(a0)
    ld      x13, 104(a0)
    ld      x14, 112(a0)
    ld      x15, 120(a0)
    ld      x16, 128(a0)
    ld      x17, 136(a0)
    ld      x18, 144(a0)
    ld      x19, 152(a0)
    ld      x20, 160(a0)
    ld      x21, 168(a0)
    ld      x22, 176(a0)
    ld      x23, 184(a0)
    ld      x24, 192(a0)
    ld      x25, 200(a0)
    ld      x26, 208(a0)
    ld      x27, 216(a0)
    ld      x28, 224(a0)
    ld      x29, 232(a0)
    ld      x30, 240(a0)
    ld      x31, 248(a0)
    ld      a0, 80(a0)
    sret

    .balign 64
    .global trap_vector
trap_vector:
    csrrw   a0, sscratch, a0            # the guest's registers, or 0 from our own code
    beqz    a0, own_trap
                                        # a0 = the guest's registers, its own a0 in sscratch
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
    ld      ra, {own}(a0)
    ld      sp, {own} + 8(a0)
    ld      s0, {own} + 16(a0)
    ld      s1, {own} + 24(a0)
    ld      tp, {own_cpu}(a0)
    csrr    a0, scause
    ret
"#,
    own = const offset_of!(Gprs, own),
    own_cpu = const offset_of!(Gprs, own_cpu),
    pc = const offset_of!(Gprs, pc),
    sstatus = const offset_of!(Gprs, sstatus),
    spv = const crate::csr::hstatus::SPV,
);
