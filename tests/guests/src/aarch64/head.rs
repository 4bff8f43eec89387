//! From the loader's jump to Rust.
//!
//! The image is a Linux arm64 `Image` (Documentation/arch/arm64/booting.rst), entered at its first byte
//! at EL1 with the MMU off and x0 = the device tree; or, on the other CPUs, at [`secondary_entry`] with
//! x0 = what was given to CPU_ON: the CPU's index.
//!
//! Memory is mapped one to one before any Rust runs, so that unaligned and exclusive accesses work: the
//! first gigabyte as device registers, the other 1023 as normal memory that may be executed.

use core::arch::global_asm;

/// Bytes of each CPU's stack, and how many CPUs have one (image.ld).
const STACK: usize = 16384;
/// As many as there are stacks.
pub(crate) const MAX_CPUS: usize = 8;

global_asm!(
    r#"
    .section .head, "ax"
    .global __image_start
__image_start:
    b       start_of_all
    .long   0
    .quad   0                           // text_offset
    .quad   __image_size                // image_size
    .quad   0b1010                      // little-endian, 4 KiB pages, anywhere in memory
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0

    .text
start_of_all:
    mov     x20, x0
    msr     daifset, #0xf
    adrp    x19, __image_start
    add     x19, x19, :lo12:__image_start

    // Relative relocations (gABI, RELR): a word for an address, then bitmaps of the 63 words behind it.
    adrp    x1, __relr_start
    add     x1, x1, :lo12:__relr_start
    adrp    x2, __relr_end
    add     x2, x2, :lo12:__relr_end
1:  cmp     x1, x2
    b.hs    5f
    ldr     x3, [x1], #8
    tbnz    x3, #0, 2f
    add     x4, x3, x19
    ldr     x5, [x4]
    add     x5, x5, x19
    str     x5, [x4], #8
    b       1b
2:  mov     x6, x4
3:  lsr     x3, x3, #1
    cbz     x3, 4f
    tbz     x3, #0, 6f
    ldr     x5, [x6]
    add     x5, x5, x19
    str     x5, [x6]
6:  add     x6, x6, #8
    b       3b
4:  add     x4, x4, #(63 * 8)
    b       1b

5:  adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
7:  cmp     x1, x2
    b.hs    8f
    stp     xzr, xzr, [x1], #16
    b       7b

    // The identity map.
8:  adrp    x1, __tables
    add     x2, x1, #4096
    orr     x3, x2, #3                  // tables of level 1
    add     x4, x3, #4096
    stp     x3, x4, [x1]
    mov     x3, #0x401                  // block, accessed, attribute 0
    movk    x3, #0x0060, lsl #48        // never executed
    str     x3, [x2], #8
    mov     x3, #0x705                  // block, accessed, inner shareable, attribute 1
    mov     x4, #(1 << 30)
    mov     x5, #1023
9:  add     x3, x3, x4
    str     x3, [x2], #8
    subs    x5, x5, #1
    b.ne    9b

    // What was written with the cache off must not be hidden by stale lines once it is on.
    adrp    x1, __data_start
    adrp    x2, __bss_end
10: dc      ivac, x1
    add     x1, x1, #16
    cmp     x1, x2
    b.lo    10b

    bl      mmu_on
    mov     x0, xzr
    bl      set_stack
    mov     x0, x20
    mov     x1, x19
    adrp    x2, __image_end
    add     x2, x2, :lo12:__image_end
    bl      {main}
11: wfi
    b       11b

    .global secondary_entry
secondary_entry:
    mov     x20, x0
    msr     daifset, #0xf
    bl      mmu_on
    mov     x0, x20
    bl      set_stack
    mov     x0, x20
    bl      {secondary}
12: wfi
    b       12b

    // The stack of CPU x0, and the vectors.
set_stack:
    adrp    x1, __stacks_end
    add     x1, x1, :lo12:__stacks_end
    mov     x2, #{stack}
    msub    x1, x0, x2, x1
    msr     spsel, #1
    mov     sp, x1
    adrp    x1, exception_vectors
    add     x1, x1, :lo12:exception_vectors
    msr     vbar_el1, x1
    mov     x1, #(3 << 20)              // CPACR_EL1.FPEN: vector registers work
    msr     cpacr_el1, x1
    isb
    mov     x29, xzr
    ret

mmu_on:
    mov     x1, #0xff00                 // attribute 0: nGnRnE; 1: normal, write-back
    msr     mair_el1, x1
    mrs     x1, id_aa64mmfr0_el1
    and     x1, x1, #7                  // PARange, as IPS has it up to 6
    mov     x2, #(24 | 3 << 12)         // 40 bits, 4 KiB; tables were written with the cache off
    movk    x2, #(1 << 7), lsl #16      // EPD1
    orr     x2, x2, x1, lsl #32
    msr     tcr_el1, x2
    adrp    x1, __tables
    msr     ttbr0_el1, x1
    isb
    tlbi    vmalle1
    ic      iallu
    dsb     sy
    isb
    mov     x1, #0x1805                 // I, C, M, and what must be one
    movk    x1, #0x30d0, lsl #16
    msr     sctlr_el1, x1
    isb
    ret

    // Identity map: two entries of level 0, two tables of level 1.
    .section .bss.tables, "aw", @nobits
    .balign 4096
__tables:
    .skip   3 * 4096
"#,
    main = sym crate::start,
    secondary = sym crate::runtime::cpus::secondary,
    stack = const STACK,
);

unsafe extern "C" {
    /// Where other CPUs are to begin.
    pub(super) fn secondary_entry();
}
