//! Our own address space: EL2 stage 1, every frame of memory at its physical address.
//!
//! The start-up code maps the gigabytes that hold the image, the device tree and the console, so that
//! Rust can run with caches on. [`HostPaging::start`] replaces that by the final map: all of memory as
//! data, the image by its parts, nothing both writable and executable (SCTLR_EL2.WXN sees to it).

use core::cell::UnsafeCell;

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{HostPaging, Kind, MapError, TableFrames};
use arch_parts::own::{Own, Regime};
use isa_paging::{Execute, Permission, Shareability, Stage1Attributes, VmsaStage1El2};

use crate::Aarch64;
use crate::registers::{dsb, get, isb, set};

/// MAIR_EL2: Device-nGnRE, Normal write-back, Normal uncached.
const MAIR: u64 = 0x04 | 0xff << 8 | 0x44 << 16;
const DEVICE: u8 = 0;
const NORMAL: u8 = 1;
const UNCACHED: u8 = 2;
/// SCTLR_EL2: its reserved ones; M, C, SA, I; with WXN added for the final map.
const SCTLR: u64 = 0x30c5_0830 | 1 | 1 << 2 | 1 << 3 | 1 << 12;
const WXN: u64 = 1 << 19;

/// Where guarded stacks are seen: above every physical address that 44 bits can name.
const GUARDED: u64 = 1 << 46;
/// One past it.
const GUARDED_END: u64 = 1 << 47;

/// Bits of our addresses.
const BITS: u32 = 48;

fn format() -> VmsaStage1El2 {
    let pa_range = (get!("id_aa64mmfr0_el1") & 0xf) as u8;
    match VmsaStage1El2::new(BITS, pa_range) {
        Some(format) => format,
        // 48 is among the numbers of bits that it takes.
        None => unreachable!(),
    }
}

fn attributes(kind: Kind) -> Stage1Attributes {
    let (memory, permission, execute) = match kind {
        Kind::Code => (NORMAL, Permission::Read, Execute::Allowed),
        Kind::Constant => (NORMAL, Permission::Read, Execute::Never),
        Kind::Data => (NORMAL, Permission::ReadWrite, Execute::Never),
        Kind::Registers => (DEVICE, Permission::ReadWrite, Execute::Never),
        Kind::Dma => (UNCACHED, Permission::ReadWrite, Execute::Never),
    };
    Stage1Attributes { memory, permission, execute, shareability: Shareability::Inner }
}

// ——— The early map ———

/// A table of 512 entries.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; 512]>);
// SAFETY: only the boot CPU writes them, before another one runs.
unsafe impl Sync for Table {}

/// The root, and one table of gigabyte blocks for each of up to three distinct 512 GiB.
static EARLY: [Table; 4] = [const { Table(UnsafeCell::new([0; 512])) }; 4];

/// Maps the gigabyte around `address`, where nothing is mapped yet. Says whether it is mapped now.
pub(crate) fn map_early(address: u64, kind: Kind) -> bool {
    let [root, tables @ ..] = &EARLY;
    let (upper, lower) = ((address >> 39) as usize, (address >> 30) as usize & 511);
    if upper >= 512 {
        return false;
    }
    let mut given = 0;
    // SAFETY: the boot CPU alone; the tables are static, the indices below 512.
    unsafe {
        let root = root.0.get();
        let mut at = (*root)[upper];
        if at == 0 {
            for entry in &*root {
                given += usize::from(*entry != 0);
            }
            let Some(table) = tables.get(given) else { return false };
            at = table.0.get() as u64 | 0b11;
            core::ptr::write_volatile(&raw mut (*root)[upper], at);
        }
        let table = (at & !0xfff) as *mut [u64; 512];
        if (*table)[lower] == 0 {
            let memory = u64::from(attributes(kind).memory);
            let never = if kind == Kind::Registers { 1 << 54 } else { 0 };
            // A block: valid, AttrIndx, AP[1], inner shareable, accessed.
            let block = (address & !0x3fff_ffff) | 0b01 | memory << 2 | 1 << 6 | 3 << 8 | 1 << 10 | never;
            core::ptr::write_volatile(&raw mut (*table)[lower], block);
        }
    }
    dsb();
    true
}

/// Switches the MMU and the caches on, over the early map.
///
/// # Safety
/// The image is in the early map.
pub(crate) unsafe fn start_early() {
    let [root, ..] = &EARLY;
    // SAFETY: the map is the identity, so execution goes on where it was.
    unsafe { switch_on(root.0.get() as u64, SCTLR) }
}

/// # Safety
/// The tables at `root` map what runs where it is.
unsafe fn switch_on(root: u64, sctlr: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        set!("mair_el2", MAIR);
        set!("tcr_el2", format().tcr());
        set!("ttbr0_el2", root);
        core::arch::asm!("dsb sy", "tlbi alle2", "dsb sy", "ic iallu", "dsb sy", "isb", options(nostack));
        set!("sctlr_el2", sctlr);
        isb();
    }
}

/// What a further CPU's registers must hold to see the final map: MAIR_EL2, TCR_EL2, TTBR0_EL2, SCTLR_EL2.
pub(crate) fn regime() -> (u64, u64, u64, u64) {
    (MAIR, format().tcr(), OWN.root().map_or(0, Hpa::get), SCTLR | WXN)
}

// ——— The final map ———

static OWN: Own = Own::new();

impl Regime for Aarch64 {
    type Format = VmsaStage1El2;

    fn format() -> VmsaStage1El2 {
        format()
    }

    fn attributes(kind: Kind) -> Stage1Attributes {
        attributes(kind)
    }

    fn guarded() -> (u64, u64) {
        (GUARDED, GUARDED_END)
    }

    fn order() {
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("dmb ishst", options(nostack, preserves_flags)) };
    }

    fn invalidate(virt: u64, len: u64) {
        dsb();
        let pages = len / PAGE_SIZE;
        // SAFETY: TLB maintenance for our own regime.
        unsafe {
            if pages > 64 {
                core::arch::asm!("tlbi alle2is", options(nostack));
            } else {
                for page in 0..pages {
                    let at = (virt >> 12) + page;
                    core::arch::asm!("tlbi vae2is, {}", in(reg) at & 0xfff_ffff_ffff, options(nostack));
                }
            }
        }
        dsb();
        isb();
    }

    fn publish() {
        dsb();
        isb();
    }
}

impl HostPaging for Aarch64 {
    unsafe fn start(memory: &[Span<Hpa>], tables: &'static dyn TableFrames) -> Result<(), MapError> {
        // SAFETY: the caller's promise; the new map is the identity, too, and holds the image and its stack.
        unsafe { OWN.start::<Self>(memory, tables, |root| switch_on(root.get(), SCTLR | WXN)) }
    }

    unsafe fn map(span: Span<Hpa>, kind: Kind) -> Result<*mut u8, MapError> {
        OWN.map::<Self>(span, kind)
    }

    unsafe fn unmap(at: *mut u8, length: u64) -> Result<(), MapError> {
        OWN.unmap::<Self>(at, length)
    }

    unsafe fn map_guarded(frames: &[Hpa]) -> Result<*mut u8, MapError> {
        OWN.map_guarded::<Self>(frames)
    }

    unsafe fn unmap_guarded(at: *mut u8, pages: usize) {
        OWN.unmap_guarded::<Self>(at, pages);
    }
}
