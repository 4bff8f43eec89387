//! Caches, registers of devices, and memory that others write too.

use core::arch::asm;

use arch_api::{Cache, Mmio, Untyped, Width};

use crate::Aarch64;
use crate::registers::{dsb, get, isb};

/// Bytes in the smallest data cache line (CTR_EL0.DminLine).
fn line() -> usize {
    4 << (get!("ctr_el0") >> 16 & 0xf)
}

macro_rules! each_line {
    ($instruction:literal, $start:expr, $length:expr) => {{
        let line = line();
        let end = ($start as usize).saturating_add($length);
        let mut at = $start as usize & !(line - 1);
        while at < end {
            // SAFETY: maintenance by address changes no value that the architecture lets us rely on:
            // cleaning writes back what was stored.
            unsafe { asm!(concat!($instruction, ", {}"), in(reg) at, options(nostack, preserves_flags)) };
            at += line;
        }
        dsb();
    }};
}

impl Cache for Aarch64 {
    fn make_visible_to_device(start: *const u8, length: usize) {
        each_line!("dc cvac", start, length);
    }

    fn make_visible_to_cpu(start: *const u8, length: usize) {
        // Clean too: a line at the edge may hold somebody else's stores.
        each_line!("dc civac", start, length);
    }

    fn make_code(start: *const u8, length: usize) {
        each_line!("dc cvau", start, length);
        // SAFETY: invalidates instruction caches.
        unsafe { asm!("ic ialluis", options(nostack, preserves_flags)) };
        dsb();
        isb();
    }
}

// Plain loads and stores without write-back or pairs: such an access carries a syndrome if we are
// ourselves the guest of another hypervisor.
impl Mmio for Aarch64 {
    #[inline(always)]
    unsafe fn read8(at: *const u8) -> u8 {
        let value: u32;
        // SAFETY: the caller's promise.
        unsafe { asm!("ldrb {0:w}, [{1}]", out(reg) value, in(reg) at, options(nostack, preserves_flags)) };
        value as u8
    }
    #[inline(always)]
    unsafe fn read32(at: *const u8) -> u32 {
        let value: u32;
        // SAFETY: the caller's promise.
        unsafe { asm!("ldr {0:w}, [{1}]", out(reg) value, in(reg) at, options(nostack, preserves_flags)) };
        value
    }
    #[inline(always)]
    unsafe fn read64(at: *const u8) -> u64 {
        let value: u64;
        // SAFETY: the caller's promise.
        unsafe { asm!("ldr {0}, [{1}]", out(reg) value, in(reg) at, options(nostack, preserves_flags)) };
        value
    }
    #[inline(always)]
    unsafe fn write8(at: *mut u8, value: u8) {
        // SAFETY: the caller's promise.
        unsafe {
            asm!("strb {0:w}, [{1}]", in(reg) u32::from(value), in(reg) at, options(nostack, preserves_flags))
        };
    }
    #[inline(always)]
    unsafe fn write32(at: *mut u8, value: u32) {
        // SAFETY: the caller's promise.
        unsafe { asm!("str {0:w}, [{1}]", in(reg) value, in(reg) at, options(nostack, preserves_flags)) };
    }
    #[inline(always)]
    unsafe fn write64(at: *mut u8, value: u64) {
        // SAFETY: the caller's promise.
        unsafe { asm!("str {0}, [{1}]", in(reg) value, in(reg) at, options(nostack, preserves_flags)) };
    }
}

impl Untyped for Aarch64 {
    unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
        // SAFETY: `to` is ours alone and as long as said; `from` by the caller's promise.
        unsafe { copy(to.as_mut_ptr(), from, to.len()) }
    }

    unsafe fn copy_in(to: *mut u8, from: &[u8]) {
        // SAFETY: `from` is readable and as long as said; `to` by the caller's promise.
        unsafe { copy(to, from.as_ptr(), from.len()) }
    }

    unsafe fn zero(to: *mut u8, length: usize) {
        let dczid = get!("dczid_el0");
        let end = to as usize + length;
        // DCZID_EL0.DZP: the instruction is not for us.
        let block = if dczid & (1 << 4) == 0 { 4usize << (dczid & 0xf) } else { 0 };
        let mut at = to as usize;
        if block != 0 && block <= 512 {
            while at < end {
                // SAFETY: eight blocks of at most 512 bytes divide a page; the caller owns the pages.
                unsafe {
                    asm!(
                        "dc zva, {0}", "add {0}, {0}, {1}", "dc zva, {0}", "add {0}, {0}, {1}",
                        "dc zva, {0}", "add {0}, {0}, {1}", "dc zva, {0}", "add {0}, {0}, {1}",
                        "dc zva, {0}", "add {0}, {0}, {1}", "dc zva, {0}", "add {0}, {0}, {1}",
                        "dc zva, {0}", "add {0}, {0}, {1}", "dc zva, {0}", "add {0}, {0}, {1}",
                        inout(reg) at, in(reg) block, options(nostack)
                    );
                }
            }
        } else {
            while at < end {
                // SAFETY: as above, with plain stores.
                unsafe {
                    asm!(
                        "stp xzr, xzr, [{0}]", "stp xzr, xzr, [{0}, #16]",
                        "stp xzr, xzr, [{0}, #32]", "stp xzr, xzr, [{0}, #48]",
                        in(reg) at, options(nostack, preserves_flags)
                    );
                }
                at += 64;
            }
        }
    }

    #[inline(always)]
    unsafe fn load(from: *const u8, width: Width) -> u64 {
        let value: u64;
        // SAFETY: the caller's promise: mapped and aligned.
        unsafe {
            match width {
                Width::B1 => asm!("ldarb {0:w}, [{1}]", out(reg) value, in(reg) from, options(nostack)),
                Width::B2 => asm!("ldarh {0:w}, [{1}]", out(reg) value, in(reg) from, options(nostack)),
                Width::B4 => asm!("ldar {0:w}, [{1}]", out(reg) value, in(reg) from, options(nostack)),
                Width::B8 => asm!("ldar {0}, [{1}]", out(reg) value, in(reg) from, options(nostack)),
            }
        }
        value
    }

    #[inline(always)]
    unsafe fn store(to: *mut u8, width: Width, value: u64) {
        // SAFETY: the caller's promise: mapped and aligned.
        unsafe {
            match width {
                Width::B1 => asm!("stlrb {0:w}, [{1}]", in(reg) value, in(reg) to, options(nostack)),
                Width::B2 => asm!("stlrh {0:w}, [{1}]", in(reg) value, in(reg) to, options(nostack)),
                Width::B4 => asm!("stlr {0:w}, [{1}]", in(reg) value, in(reg) to, options(nostack)),
                Width::B8 => asm!("stlr {0}, [{1}]", in(reg) value, in(reg) to, options(nostack)),
            }
        }
    }
}

/// Copies in assembly, so that a byte which somebody else changes meanwhile is a torn value at worst.
///
/// # Safety
/// Both ranges are mapped Normal memory (unaligned accesses are fine), `to` for writing, and apart.
unsafe fn copy(to: *mut u8, from: *const u8, length: usize) {
    // SAFETY: the caller's promise; the loops touch exactly `length` bytes.
    unsafe {
        asm!(
            "subs {n}, {n}, #32",
            "b.lo 3f",
            "2:",
            "ldp {a}, {b}, [{from}]",
            "ldp {c}, {d}, [{from}, #16]",
            "add {from}, {from}, #32",
            "stp {a}, {b}, [{to}]",
            "stp {c}, {d}, [{to}, #16]",
            "add {to}, {to}, #32",
            "subs {n}, {n}, #32",
            "b.hs 2b",
            "3:",
            "adds {n}, {n}, #32",
            "b.eq 5f",
            "4:",
            "ldrb {a:w}, [{from}], #1",
            "strb {a:w}, [{to}], #1",
            "subs {n}, {n}, #1",
            "b.ne 4b",
            "5:",
            n = inout(reg) length => _, from = inout(reg) from => _, to = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            options(nostack)
        );
    }
}
