//! Interrupts and faults taken from our own code. The vector is in `guest::enter`, where the way out of a guest has no
//! step more than it needs.

use core::arch::global_asm;
use core::mem::offset_of;

use arch_api::IrqsOff;

use crate::csr::get;
use crate::{Riscv64, cpu};

global_asm!(
    r#"
    .section .text.vectors, "ax"
    .global own_trap
own_trap:                               # a0's old value in sscratch, and 0 in a0
    csrr    a0, scause
    bgez    a0, own_fault
    csrrw   a0, sscratch, zero

    # An interrupt: what the procedure call standard lets a callee change is saved, the rest by Rust.
    addi    sp, sp, -144
    sd      ra, 0(sp)
    sd      t0, 8(sp)
    sd      t1, 16(sp)
    sd      t2, 24(sp)
    sd      a0, 32(sp)
    sd      a1, 40(sp)
    sd      a2, 48(sp)
    sd      a3, 56(sp)
    sd      a4, 64(sp)
    sd      a5, 72(sp)
    sd      a6, 80(sp)
    sd      a7, 88(sp)
    sd      t3, 96(sp)
    sd      t4, 104(sp)
    sd      t5, 112(sp)
    sd      t6, 120(sp)
    csrr    t0, sepc
    csrr    t1, sstatus
    sd      t0, 128(sp)
    sd      t1, 136(sp)
    call    own_interrupt_rust
    # Meanwhile another thread may have run a guest: SRET is to lead to our own code, not to it.
    li      t2, {spv}
    ld      t0, 128(sp)
    ld      t1, 136(sp)
    csrc    hstatus, t2
    csrw    sepc, t0
    csrw    sstatus, t1
    ld      ra, 0(sp)
    ld      t0, 8(sp)
    ld      t1, 16(sp)
    ld      t2, 24(sp)
    ld      a0, 32(sp)
    ld      a1, 40(sp)
    ld      a2, 48(sp)
    ld      a3, 56(sp)
    ld      a4, 64(sp)
    ld      a5, 72(sp)
    ld      a6, 80(sp)
    ld      a7, 88(sp)
    ld      t3, 96(sp)
    ld      t4, 104(sp)
    ld      t5, 112(sp)
    ld      t6, 120(sp)
    addi    sp, sp, 144
    sret

own_fault:                              # a0's old value in sscratch
    csrrw   a0, sscratch, zero
    sd      t0, {spill}(tp)
    sd      t1, {spill}+8(tp)
    ld      t0, {fixup}(tp)             # a fault that somebody waits for
    beqz    t0, 1f
    csrw    sepc, t0
    sd      zero, {fixup}(tp)
    ld      t1, {spill}+8(tp)
    ld      t0, {spill}(tp)
    sret
    # Any other never returns. The stack may be what is broken, so another one is used.
1:  ld      t0, {common}(tp)            # the emergency stack's top
    addi    t0, t0, -256
    sd      zero, 0(t0)
    sd      ra, 8(t0)
    sd      sp, 16(t0)
    sd      gp, 24(t0)
    sd      tp, 32(t0)
    ld      t1, {spill}(tp)
    sd      t1, 40(t0)
    ld      t1, {spill}+8(tp)
    sd      t1, 48(t0)
    sd      t2, 56(t0)
    sd      s0, 64(t0)
    sd      s1, 72(t0)
    sd      a0, 80(t0)
    sd      a1, 88(t0)
    sd      a2, 96(t0)
    sd      a3, 104(t0)
    sd      a4, 112(t0)
    sd      a5, 120(t0)
    sd      a6, 128(t0)
    sd      a7, 136(t0)
    sd      s2, 144(t0)
    sd      s3, 152(t0)
    sd      s4, 160(t0)
    sd      s5, 168(t0)
    sd      s6, 176(t0)
    sd      s7, 184(t0)
    sd      s8, 192(t0)
    sd      s9, 200(t0)
    sd      s10, 208(t0)
    sd      s11, 216(t0)
    sd      t3, 224(t0)
    sd      t4, 232(t0)
    sd      t5, 240(t0)
    sd      t6, 248(t0)
    mv      sp, t0
    mv      a0, t0
    call    own_fault_rust
2:  j       2b
"#,
    common = const offset_of!(cpu::PerCpu, common),
    spill = const offset_of!(cpu::PerCpu, spill),
    fixup = const offset_of!(cpu::PerCpu, fixup),
    spv = const crate::csr::hstatus::SPV,
);

/// Calls what the hypervisor named for host interrupts.
#[unsafe(no_mangle)]
extern "C" fn own_interrupt_rust() {
    IrqsOff::<Riscv64>::in_vector(|masked| cpu::INTERRUPTS.call(masked));
}

/// A fault in our own code: the registers, then the panic report.
#[unsafe(no_mangle)]
extern "C" fn own_fault_rust(registers: &[u64; 32]) -> ! {
    let (cause, pc, value) = (get!("scause"), get!("sepc") as usize, get!("stval"));
    crate::start::crash(crate::start::Crash { cause, pc, value, registers })
}
