//! The exception vectors (DDI 0487, D1.3.1): interrupts and faults taken from our own code, and the
//! way out of a guest, which `guest::enter` continues.

use core::arch::global_asm;
use core::mem::offset_of;

use arch_api::IrqsOff;

use crate::registers::get;
use crate::{Aarch64, cpu};

global_asm!(
    r#"
    // From our own code: everything is saved below the stack pointer and handed to Rust.
    .macro  own_interrupt
    sub     sp, sp, #192
    stp     x0, x1, [sp]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x29, [sp, #144]
    mrs     x0, elr_el2
    mrs     x1, spsr_el2
    stp     x30, x0, [sp, #160]
    str     x1, [sp, #176]
    bl      own_interrupt_rust
    ldp     x30, x0, [sp, #160]
    ldr     x1, [sp, #176]
    msr     elr_el2, x0
    msr     spsr_el2, x1
    ldp     x2, x3, [sp, #16]
    ldp     x4, x5, [sp, #32]
    ldp     x6, x7, [sp, #48]
    ldp     x8, x9, [sp, #64]
    ldp     x10, x11, [sp, #80]
    ldp     x12, x13, [sp, #96]
    ldp     x14, x15, [sp, #112]
    ldp     x16, x17, [sp, #128]
    ldp     x18, x29, [sp, #144]
    ldp     x0, x1, [sp], #192
    eret
    .endm

    // A fault of our own never returns. The stack may be what is broken, so another one is used;
    // SP_EL0 (a guest's, who will not run again) keeps x0 meanwhile.
    .macro  own_fault kind
    .balign 0x80
    msr     sp_el0, x0
    mrs     x0, tpidr_el2
    str     x1, [x0, #{stack}]
    mov     x1, #\kind
    b       own_fault_common
    .endm

    // From a guest: the vCPU's registers are found through the word that guest::enter left on top of
    // the stack.
    .macro  guest_exit kind
    .balign 0x80
    stp     x0, x1, [sp, #-16]!
    mov     x1, #\kind
    b       guest_exit_common
    .endm

    .section .text.vectors, "ax"
    .balign 0x800
    .global exception_vectors
exception_vectors:
    own_fault 0                         // current EL with SP_EL0
    own_fault 1
    own_fault 2
    own_fault 3
    own_fault 4                         // current EL with SP_EL2: synchronous
    .balign 0x80
    b       own_interrupt_vector
    own_fault 6
    own_fault 7
    guest_exit 0                        // from AArch64: synchronous, IRQ, FIQ, SError
    guest_exit 1
    guest_exit 2
    guest_exit 3
    guest_exit 0                        // from AArch32
    guest_exit 1
    guest_exit 2
    guest_exit 3
    .balign 0x80

own_interrupt_vector:
    own_interrupt

own_fault_common:                       // x0 = per-CPU block, x1 = kind, x1's old value in faulting_stack
    stp     x2, x3, [x0, #{spill}]
    mov     x2, sp
    ldr     x3, [x0, #{common}]         // the emergency stack's top
    mov     sp, x3
    sub     sp, sp, #288
    ldr     x3, [x0, #{stack}]          // the old x1
    str     x2, [x0, #{stack}]
    str     x3, [sp, #8]
    mrs     x3, sp_el0
    str     x3, [sp]
    ldp     x2, x3, [x0, #{spill}]
    stp     x2, x3, [sp, #16]
    stp     x4, x5, [sp, #32]
    stp     x6, x7, [sp, #48]
    stp     x8, x9, [sp, #64]
    stp     x10, x11, [sp, #80]
    stp     x12, x13, [sp, #96]
    stp     x14, x15, [sp, #112]
    stp     x16, x17, [sp, #128]
    stp     x18, x19, [sp, #144]
    stp     x20, x21, [sp, #160]
    stp     x22, x23, [sp, #176]
    stp     x24, x25, [sp, #192]
    stp     x26, x27, [sp, #208]
    stp     x28, x29, [sp, #224]
    str     x30, [sp, #240]
    mov     x0, sp
    bl      own_fault_rust
    b       .
"#,
    common = const offset_of!(cpu::PerCpu, common),
    stack = const offset_of!(cpu::PerCpu, faulting_stack),
    spill = const offset_of!(cpu::PerCpu, spill),
);

/// Calls what the hypervisor named for host interrupts.
#[unsafe(no_mangle)]
extern "C" fn own_interrupt_rust() {
    IrqsOff::<Aarch64>::in_vector(|masked| cpu::INTERRUPTS.call(masked));
}

/// A fault in our own code: the registers, then the panic report.
#[unsafe(no_mangle)]
extern "C" fn own_fault_rust(registers: &[u64; 31], kind: u64) -> ! {
    let esr = isa_a64::Esr::new(get!("esr_el2"));
    let elr = get!("elr_el2") as usize;
    let far = get!("far_el2");
    let name = match kind & 3 {
        0 => "exception",
        1 => "interrupt",
        2 => "fast interrupt",
        _ => "system error",
    };
    let stack = IrqsOff::<Aarch64>::in_vector(|masked| cpu::this(masked).faulting_stack.get());
    crate::start::crash(crate::start::Crash { name, esr, elr, far, stack, registers })
}
