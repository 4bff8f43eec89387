//! From the boot loader's jump to Rust.
//!
//! The image is a Linux arm64 `Image` (Documentation/arch/arm64/booting.rst): a 64-byte header, loaded
//! at any 2 MiB-aligned address, entered at its first byte at EL2 with the MMU off and x0 = the
//! device tree. It is linked at address 0 as a position-independent executable; the first thing done
//! is to add the load address to every pointer in it (RELR relocations: one word for an address, then
//! bitmaps of the 63 words that follow; gABI "Relative relocation table").
//!
//! It is an EFI application, too: the build writes a PE/COFF header behind the `Image` header, whose entry
//! is `efi_start`. There the MMU is on and the firmware's services are used (`arch/efi`) before the two ways
//! meet.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .head, "ax"
    .global __image_start
__image_start:
    ccmp    x18, #0, #0xd, pl           // "MZ", the begin of every PE file; as an instruction it does no harm
    b       start_of_all
    .quad   0                           // text_offset
    .quad   __image_size                // image_size; the build adds the symbols' length
    .quad   0b1010                      // little-endian, 4 KiB pages, anywhere in memory
    .quad   0
    .quad   0
    .quad   0
    .ascii  "ARM\x64"
    .long   0                           // where the PE header is
    .zero   4096 - 64                   // room for it, in a page of its own

    .section .text.start, "ax"
start_of_all:
    mov     x20, x0                     // the device tree
    msr     daifset, #0xf
    mrs     x1, CurrentEL
    cmp     x1, #(2 << 2)
    b.ne    not_at_el2
    adrp    x19, __image_start          // where we were loaded
    bl      caches_off
    bl      relocate
    b       clear

    // x0 = our image's handle, x1 = the system table; the firmware's stack. Returns a status where the
    // hypervisor can't be started.
    .global efi_start
efi_start:
    stp     x29, x30, [sp, #-32]!
    mov     x29, sp
    stp     x19, x20, [sp, #16]
    adrp    x19, __image_start
    mov     x20, x0
    bl      relocate
    mov     x0, x20
    bl      start_by_efi                // the device tree, or a status, whose highest bit is set
    tbz     x0, #63, 1f
    ldp     x19, x20, [sp, #16]
    ldp     x29, x30, [sp], #32
    ret
1:  msr     daifset, #0xf
    mov     x20, x0
    // The image was written through the caches, which are soon off.
    mov     x1, x19
    ldr     x2, [x19, #16]              // image_size
    add     x2, x2, x19
2:  dc      civac, x1
    add     x1, x1, #16
    cmp     x1, x2
    b.lo    2b
    dsb     sy
    bl      caches_off
    b       clear

caches_off:
    mrs     x1, sctlr_el2
    mov     x2, #0x1005                 // I, C, M
    bic     x1, x1, x2
    msr     sctlr_el2, x1
    mov     x1, #(1 << 31)              // HCR_EL2.RW, not E2H, not TGE
    msr     hcr_el2, x1
    isb
    ret

    // Adds x19 to the words that hold addresses. Changes x2 to x7.
relocate:
    adrp    x7, __relr_start
    add     x7, x7, :lo12:__relr_start
    adrp    x2, __relr_end
    add     x2, x2, :lo12:__relr_end
1:  cmp     x7, x2
    b.lo    7f
    ret
7:  ldr     x3, [x7], #8
    tbnz    x3, #0, 2f
    add     x4, x3, x19                 // an address: relocate the word there
    ldr     x5, [x4]
    add     x5, x5, x19
    str     x5, [x4], #8
    b       1b
2:  mov     x6, x4                      // a bitmap over the 63 words from x4 on
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

    // The symbols were loaded where the zeroed data is to be, and belong behind it: the last bytes first.
clear:
    adrp    x1, __symbols_info
    add     x1, x1, :lo12:__symbols_info
    ldp     w2, w4, [x1]                // offset, length
    add     x2, x2, x19
    add     x2, x2, x4
    adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    add     x3, x1, x4
5:  cmp     x1, x3
    b.hs    6f
    ldp     x5, x6, [x3, #-16]!
    stp     x5, x6, [x2, #-16]!
    b       5b

    // Zeroed data.
6:  adrp    x1, __bss_start
    add     x1, x1, :lo12:__bss_start
    adrp    x2, __bss_end
    add     x2, x2, :lo12:__bss_end
7:  cmp     x1, x2
    b.hs    8f
    stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    stp     xzr, xzr, [x1], #16
    b       7b

    // What was written with the cache off must not be hidden by stale lines once it is on.
8:  adrp    x1, __data_start
    add     x2, x2, x4
9:  dc      ivac, x1
    add     x1, x1, #16
    cmp     x1, x2
    b.lo    9b
    dsb     sy

    msr     spsel, #1
    adrp    x1, __boot_stack_top
    add     x1, x1, :lo12:__boot_stack_top
    mov     sp, x1
    adrp    x1, exception_vectors
    add     x1, x1, :lo12:exception_vectors
    msr     vbar_el2, x1
    isb
    mov     x29, xzr
    mov     x30, xzr
    mov     x0, x20
    mov     x1, x19
    bl      start_rust
not_at_el2:
    wfe
    b       not_at_el2
"#
);
