//! From the loader's jump to Rust.
//!
//! The image is a Linux RISC-V `Image` (Documentation/arch/riscv/boot-image-header.rst), entered at its first byte
//! in supervisor mode with nothing translated, a0 = the hart's id and a1 = the device tree; or, on the other CPUs,
//! at [`secondary_entry`] with a1 = what was given to HART_START: the CPU's index. Nothing is ever translated,
//! except by the programs that want to. `tp` holds the hart's id: supervisor mode cannot read it.

use core::arch::global_asm;

/// Bytes of each CPU's stack, and how many CPUs have one (image.ld).
const STACK: usize = 16384;
/// As many as there are stacks.
pub(crate) const MAX_CPUS: usize = 8;

global_asm!(
    r#"
    .section .head, "ax"
    .option push
    .option norvc
    .option norelax
    .global __image_start
__image_start:
    j       start_of_all
    .word   0
    .dword  0x200000                    # text_offset
    .dword  0                           # image_size: the build fills it
    .dword  0                           # little-endian
    .word   2                           # version 0.2
    .word   0
    .dword  0
    .ascii  "RISCV\0\0\0"
    .ascii  "RSC\x05"
    .word   0

    .text
start_of_all:
    csrw    sie, zero
    csrci   sstatus, 2
    csrw    satp, zero
    mv      tp, a0
    mv      s1, a1
    lla     s2, __image_start

    # Relative relocations (gABI, RELR): a word for an address, then bitmaps of the 63 words behind it.
    lla     t0, __relr_start
    lla     t1, __relr_end
1:  bgeu    t0, t1, 5f
    ld      t2, 0(t0)
    addi    t0, t0, 8
    andi    t3, t2, 1
    bnez    t3, 2f
    add     t4, t2, s2
    ld      t5, 0(t4)
    add     t5, t5, s2
    sd      t5, 0(t4)
    addi    t4, t4, 8
    j       1b
2:  mv      t6, t4
3:  srli    t2, t2, 1
    beqz    t2, 4f
    andi    t3, t2, 1
    beqz    t3, 6f
    ld      t5, 0(t6)
    add     t5, t5, s2
    sd      t5, 0(t6)
6:  addi    t6, t6, 8
    j       3b
4:  addi    t4, t4, 63 * 8
    j       1b

5:  lla     t0, __bss_start
    lla     t1, __bss_end
7:  bgeu    t0, t1, 8f
    sd      zero, 0(t0)
    addi    t0, t0, 8
    j       7b

8:  li      a0, 0
    jal     set_stack
    mv      a0, s1
    mv      a1, s2
    lla     a2, __image_end
    call    {main}
9:  wfi
    j       9b

    .balign 4
    .global secondary_entry
secondary_entry:
    csrw    sie, zero
    csrci   sstatus, 2
    csrw    satp, zero
    mv      tp, a0
    mv      s1, a1
    mv      a0, a1
    jal     set_stack
    mv      a0, s1
    call    {secondary}
10: wfi
    j       10b

    # The stack of CPU a0, and the vectors; floating-point and vector registers work.
set_stack:
    lla     sp, __stacks_end
    li      t0, {stack}
    mul     t0, t0, a0
    sub     sp, sp, t0
    lla     t0, exception_vector
    csrw    stvec, t0
    li      t0, 1 << 13 | 1 << 9
    csrs    sstatus, t0
    li      s0, 0
    ret
    .option pop
"#,
    main = sym crate::start,
    secondary = sym crate::runtime::cpus::secondary,
    stack = const STACK,
);

unsafe extern "C" {
    /// Where other CPUs are to begin.
    pub(super) fn secondary_entry();
}
