//! From the boot loader's jump to Rust.
//!
//! The image is a Linux RISC-V `Image` (Documentation/arch/riscv/boot-image-header.rst): a 64-byte header,
//! loaded at any 2 MiB-aligned address, entered at its first byte in HS mode with nothing translated, a0 = the
//! hart's id and a1 = the device tree. It is linked at address 0 as a position-independent executable; the
//! first thing done is to add the load address to every pointer in it (RELR relocations: one word for an
//! address, then bitmaps of the 63 words that follow; gABI "Relative relocation table").
//!
//! It is an EFI application, too: the build writes a PE/COFF header behind the `Image` header, whose entry is
//! `efi_start`. There the firmware's own map may be on, and its services are used (`arch/efi`) before the two ways meet.

use core::arch::global_asm;

global_asm!(
    r#"
    .section .head, "ax"
    .option push
    .option norvc
    .option norelax
    .global __image_start
__image_start:
    .half   0x5a4d                      # "MZ", the begin of every PE file; c.li s4, -13 does no harm
    j       start_of_all
    .half   0
    .dword  0x200000                    # text_offset
    .dword  0                           # image_size: the build fills it
    .dword  0                           # flags: little-endian
    .word   2                           # version 0.2
    .word   0
    .dword  0
    .ascii  "RISCV\0\0\0"
    .ascii  "RSC\x05"
    .word   0                           # where the PE header is
    .zero   4096 - 64                   # room for it, in a page of its own

    .section .text.start, "ax"
start_of_all:
    csrw    sie, zero
    csrw    satp, zero
    mv      s0, a0                      # the hart's id
    mv      s1, a1                      # the device tree
    lla     s2, __image_start           # where we were loaded

    call    relocate
    j       clear

    # a0 = our image's handle, a1 = the system table; the firmware's stack. Returns a status where the hypervisor can't
    # be started.
    .global efi_start
efi_start:
    addi    sp, sp, -48
    sd      ra, 0(sp)
    sd      s0, 8(sp)
    sd      s1, 16(sp)
    sd      s2, 24(sp)
    mv      s0, a0
    lla     s2, __image_start
    call    relocate
    mv      a0, s0
    addi    a2, sp, 32                  # where the hart's id goes
    call    start_by_efi                # the device tree, or a status, whose highest bit is set
    bltz    a0, 1f
    csrci   sstatus, 2
    csrw    sie, zero
    # What the firmware has translated lies where it is.
    csrw    satp, zero
    sfence.vma
    ld      s0, 32(sp)
    mv      s1, a0
    j       clear
1:  ld      ra, 0(sp)
    ld      s0, 8(sp)
    ld      s1, 16(sp)
    ld      s2, 24(sp)
    addi    sp, sp, 48
    ret

    # Adds s2 to the words that hold addresses. Changes t0 to t6.
relocate:
    lla     t0, __relr_start
    lla     t1, __relr_end
1:  bltu    t0, t1, 5f
    ret
5:  ld      t2, 0(t0)
    addi    t0, t0, 8
    andi    t3, t2, 1
    bnez    t3, 2f
    add     t4, t2, s2                  # an address: relocate the word there
    ld      t5, 0(t4)
    add     t5, t5, s2
    sd      t5, 0(t4)
    addi    t4, t4, 8
    j       1b
2:  mv      t6, t4                      # a bitmap over the 63 words from t4 on
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

    # The symbols were loaded where the zeroed data is to be, and belong behind it: the last bytes first.
clear:
    lla     t0, __symbols_info
    lwu     t1, 0(t0)                   # offset
    lwu     t2, 4(t0)                   # length
    add     t1, t1, s2
    add     t1, t1, t2
    lla     t0, __bss_start
    add     t3, t0, t2
1:  bgeu    t0, t3, 2f
    addi    t3, t3, -16
    addi    t1, t1, -16
    ld      t4, 0(t3)
    ld      t5, 8(t3)
    sd      t4, 0(t1)
    sd      t5, 8(t1)
    j       1b

    # Zeroed data.
2:  lla     t0, __bss_start
    lla     t1, __bss_end
7:  bgeu    t0, t1, 8f
    sd      zero, 0(t0)
    sd      zero, 8(t0)
    sd      zero, 16(t0)
    sd      zero, 24(t0)
    addi    t0, t0, 32
    j       7b

8:  fence.i
    lla     sp, __boot_stack_top
    csrw    sscratch, zero

    # Is there a hypervisor extension? Without it the register below does not exist, and the trap leads on.
    lla     t0, 9f
    csrw    stvec, t0
    li      a3, 0
    csrr    t1, hstatus
    li      a3, 1
    j       9f
    .balign 4
9:  lla     t0, trap_vector
    csrw    stvec, t0
    mv      a0, s0
    mv      a1, s1
    mv      a2, s2
    li      s0, 0                       # no frame above
    li      ra, 0
    call    start_rust
    .option pop
"#
);
