//! Caches, registers of devices, and memory that others write too.

use core::arch::asm;

use arch_api::{Cache, Mmio, Untyped, Width};

use crate::{Riscv64, sbi};

/// Memory is coherent for devices and guests alike on the hosts that are supported (Priv, "Coherence and
/// Cacheability PMAs"): what is left is order.
impl Cache for Riscv64 {
    fn make_visible_to_device(_start: *const u8, _length: usize) {
        // SAFETY: a barrier.
        unsafe { asm!("fence rw, iorw", options(nostack, preserves_flags)) };
    }

    fn make_visible_to_cpu(_start: *const u8, _length: usize) {
        // SAFETY: a barrier.
        unsafe { asm!("fence iorw, rw", options(nostack, preserves_flags)) };
    }

    fn make_code(_start: *const u8, _length: usize) {
        // SAFETY: a barrier, of data before instructions.
        unsafe { asm!("fence rw, rw", "fence.i", options(nostack, preserves_flags)) };
        sbi::fence_everywhere(sbi::Fence::Instructions, 0, 0, 0);
    }
}

// Plain, uncompressed loads and stores: as a guest of another hypervisor, the trap tells them best.
macro_rules! read {
    ($instruction:literal, $at:expr) => {{
        let value: u64;
        asm!("fence w, i", concat!($instruction, " {}, 0({})"), "fence i, r", out(reg) value, in(reg) $at,
            options(nostack, preserves_flags));
        value
    }};
}
macro_rules! write {
    ($instruction:literal, $at:expr, $value:expr) => {{
        let value: u64 = $value;
        asm!("fence rw, o", concat!($instruction, " {}, 0({})"), in(reg) value, in(reg) $at,
            options(nostack, preserves_flags))
    }};
}

impl Mmio for Riscv64 {
    #[inline(always)]
    unsafe fn read8(at: *const u8) -> u8 {
        // SAFETY: the caller's promise.
        unsafe { read!("lbu", at) as u8 }
    }
    #[inline(always)]
    unsafe fn read32(at: *const u8) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { read!("lwu", at) as u32 }
    }
    #[inline(always)]
    unsafe fn read64(at: *const u8) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { read!("ld", at) }
    }
    #[inline(always)]
    unsafe fn write8(at: *mut u8, value: u8) {
        // SAFETY: the caller's promise.
        unsafe { write!("sb", at, value.into()) }
    }
    #[inline(always)]
    unsafe fn write32(at: *mut u8, value: u32) {
        // SAFETY: the caller's promise.
        unsafe { write!("sw", at, value.into()) }
    }
    #[inline(always)]
    unsafe fn write64(at: *mut u8, value: u64) {
        // SAFETY: the caller's promise.
        unsafe { write!("sd", at, value) }
    }
}

impl Untyped for Riscv64 {
    unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
        // SAFETY: `to` is ours alone and as long as said; `from` by the caller's promise.
        unsafe { copy(to.as_mut_ptr(), from, to.len()) }
    }

    unsafe fn copy_in(to: *mut u8, from: &[u8]) {
        // SAFETY: `from` is readable and as long as said; `to` by the caller's promise.
        unsafe { copy(to, from.as_ptr(), from.len()) }
    }

    unsafe fn zero(to: *mut u8, length: usize) {
        let end = to as usize + length;
        let mut at = to as usize;
        while at < end {
            // SAFETY: the caller owns the pages.
            unsafe {
                asm!(
                    "sd zero, 0({0})", "sd zero, 8({0})", "sd zero, 16({0})", "sd zero, 24({0})",
                    "sd zero, 32({0})", "sd zero, 40({0})", "sd zero, 48({0})", "sd zero, 56({0})",
                    in(reg) at, options(nostack, preserves_flags)
                );
            }
            at += 64;
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8, width: Width) -> u64 {
        let value: u64;
        // SAFETY: the caller's promise: mapped and aligned. The fence makes it an acquire.
        unsafe {
            match width {
                Width::B1 => {
                    asm!("lbu {0}, 0({1})", "fence r, rw", out(reg) value, in(reg) from, options(nostack))
                }
                Width::B2 => {
                    asm!("lhu {0}, 0({1})", "fence r, rw", out(reg) value, in(reg) from, options(nostack))
                }
                Width::B4 => {
                    asm!("lwu {0}, 0({1})", "fence r, rw", out(reg) value, in(reg) from, options(nostack))
                }
                Width::B8 => {
                    asm!("ld {0}, 0({1})", "fence r, rw", out(reg) value, in(reg) from, options(nostack))
                }
            }
        }
        value
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, width: Width, value: u64) {
        // SAFETY: the caller's promise: mapped and aligned. The fence makes it a release.
        unsafe {
            match width {
                Width::B1 => {
                    asm!("fence rw, w", "sb {0}, 0({1})", in(reg) value, in(reg) to, options(nostack))
                }
                Width::B2 => {
                    asm!("fence rw, w", "sh {0}, 0({1})", in(reg) value, in(reg) to, options(nostack))
                }
                Width::B4 => {
                    asm!("fence rw, w", "sw {0}, 0({1})", in(reg) value, in(reg) to, options(nostack))
                }
                Width::B8 => {
                    asm!("fence rw, w", "sd {0}, 0({1})", in(reg) value, in(reg) to, options(nostack))
                }
            }
        }
    }
}

/// Copies in assembly, so that a byte which somebody else changes meanwhile is a torn value at worst. Words
/// where both sides are aligned alike, bytes elsewhere: misaligned accesses may trap.
///
/// # Safety
/// Both ranges are mapped memory, `to` for writing, and apart.
unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's promise; the loops touch exactly `length` bytes.
    unsafe {
        asm!(
            "xor {a}, {to}, {from}",
            "andi {a}, {a}, 7",
            "bnez {a}, 4f",
            // Bytes up to the first word.
            "1:",
            "andi {a}, {to}, 7",
            "beqz {a}, 2f",
            "beqz {n}, 5f",
            "lbu {a}, 0({from})",
            "sb {a}, 0({to})",
            "addi {from}, {from}, 1",
            "addi {to}, {to}, 1",
            "addi {n}, {n}, -1",
            "j 1b",
            // Four words at a time, then one.
            "2:",
            "li {d}, 32",
            "bltu {n}, {d}, 3f",
            "ld {a}, 0({from})",
            "ld {b}, 8({from})",
            "ld {c}, 16({from})",
            "ld {e}, 24({from})",
            "addi {from}, {from}, 32",
            "sd {a}, 0({to})",
            "sd {b}, 8({to})",
            "sd {c}, 16({to})",
            "sd {e}, 24({to})",
            "addi {to}, {to}, 32",
            "addi {n}, {n}, -32",
            "j 2b",
            "3:",
            "li {d}, 8",
            "bltu {n}, {d}, 4f",
            "ld {a}, 0({from})",
            "addi {from}, {from}, 8",
            "sd {a}, 0({to})",
            "addi {to}, {to}, 8",
            "addi {n}, {n}, -8",
            "j 3b",
            "4:",
            "beqz {n}, 5f",
            "lbu {a}, 0({from})",
            "addi {from}, {from}, 1",
            "sb {a}, 0({to})",
            "addi {to}, {to}, 1",
            "addi {n}, {n}, -1",
            "j 4b",
            "5:",
            n = inout(reg) length => _, from = inout(reg) from => _, to = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _, e = out(reg) _,
            options(nostack)
        );
    }
}
