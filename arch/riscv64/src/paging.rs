//! Our own address space: every frame of memory at its physical address, in the largest mode that the hart
//! has. Until [`HostPaging::start`] made it nothing is translated, and caches work all the same.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU8, Ordering};

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{HostPaging, Kind, MapError, TableFrames};
use arch_parts::own::{Own, Regime};
use isa_paging::{Format, RvAttributes, RvFormat, RvMemory, RvMode};

use crate::csr::{get, set};
use crate::{Riscv64, sbi};

static OWN: Own = Own::new();

/// The mode's field in `satp`; 0 before it was chosen.
static MODE: AtomicU8 = AtomicU8::new(0);

/// A root table.
#[repr(C, align(4096))]
struct Table(UnsafeCell<[u64; 512]>);
// SAFETY: only the boot CPU uses it, before another one runs.
unsafe impl Sync for Table {}

/// For the trial of a mode.
static TRIAL: Table = Table(UnsafeCell::new([0; 512]));

fn mode() -> Option<RvMode> {
    let chosen = MODE.load(Ordering::Relaxed);
    RvMode::ALL.into_iter().find(|mode| mode.field() == u64::from(chosen))
}

/// The mode's name, for a table.
pub(crate) fn name() -> &'static str {
    match mode() {
        Some(RvMode::Sv57) => "Sv57",
        Some(RvMode::Sv48) => "Sv48",
        Some(RvMode::Sv39) => "Sv39",
        None => "no translation",
    }
}

/// Tries the modes from the largest down: a write of `satp` with a mode that is not there has no effect
/// (Priv, "Supervisor Address Translation and Protection Register").
fn choose() -> Option<RvMode> {
    let (from, _) = arch_parts::image::bounds();
    let limit = arch_parts::image::limit();
    let stack = (&raw const from) as usize;
    RvMode::ALL.into_iter().find(|mode| {
        let format = RvFormat::own(*mode);
        let first = format.first_level();
        let all = RvAttributes { write: true, execute: true, memory: RvMemory::Physical };
        let (shift, table) = (format.shift(first), TRIAL.0.get());
        let wanted = format.register(Hpa::new(table as u64), 0);
        // SAFETY: the boot CPU alone; the table is static.
        unsafe {
            (*table).fill(0);
            for at in [from, limit, stack] {
                let block = (at >> shift) << shift;
                if let Some(entry) = (*table).get_mut(at >> shift) {
                    *entry = format.leaf(Hpa::new(block as u64), all, first);
                }
            }
        }
        // SAFETY: the map is the identity where this code and its stack lie, and taken back at once.
        unsafe { switch_on(wanted) };
        let is_there = get!("satp") == wanted;
        // SAFETY: as it was.
        unsafe { switch_on(0) };
        is_there
    })
}

impl Regime for Riscv64 {
    type Format = RvFormat;

    fn format() -> RvFormat {
        match mode() {
            Some(mode) => RvFormat::own(mode),
            // `HostPaging::start` chose one before anybody asks.
            None => RvFormat::own(RvMode::Sv39),
        }
    }

    fn attributes(kind: Kind) -> RvAttributes {
        let (write, execute) = match kind {
            Kind::Code => (false, true),
            Kind::Constant => (false, false),
            Kind::Data | Kind::Registers | Kind::Dma => (true, false),
        };
        // What is memory and what is not, the physical address says (PMA).
        RvAttributes { write, execute, memory: RvMemory::Physical }
    }

    fn guarded() -> (u64, u64) {
        // The upper half of what the mode maps below the sign.
        let end = 1 << Self::format().input_bits();
        (end / 2, end)
    }

    fn order() {
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("fence w, w", options(nostack, preserves_flags)) };
    }

    fn invalidate(virt: u64, len: u64) {
        fence_here(virt, len);
        if crate::cpu::others() {
            sbi::fence_everywhere(sbi::Fence::Own, virt, len, 0);
        }
    }

    fn publish() {
        // An implementation may remember that nothing was mapped.
        Self::invalidate(0, u64::MAX);
    }
}

fn fence_here(virt: u64, len: u64) {
    // SAFETY: maintenance of what is remembered of our own tables.
    unsafe {
        core::arch::asm!("fence w, w", options(nostack, preserves_flags));
        if len / PAGE_SIZE > 64 {
            core::arch::asm!("sfence.vma", options(nostack));
        } else {
            for page in 0..len / PAGE_SIZE {
                core::arch::asm!("sfence.vma {}, zero", in(reg) virt + page * PAGE_SIZE, options(nostack));
            }
        }
    }
}

/// # Safety
/// The tables at `root` map what runs where it is.
unsafe fn switch_on(satp: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!("fence rw, rw", "sfence.vma", options(nostack));
        set!("satp", satp);
        core::arch::asm!("sfence.vma", options(nostack));
    }
}

/// `satp` of the final map, for a further CPU.
pub(crate) fn satp() -> u64 {
    OWN.root().map_or(0, |root| Riscv64::format().register(root, 0))
}

impl HostPaging for Riscv64 {
    unsafe fn start(memory: &[Span<Hpa>], tables: &'static dyn TableFrames) -> Result<(), MapError> {
        // Without any mode nothing can be mapped.
        let mode = choose().ok_or(MapError::OutOfRange)?;
        MODE.store(mode.field() as u8, Ordering::Relaxed);
        // SAFETY: the caller's promise; the new map is the identity, and holds the image and its stack.
        unsafe { OWN.start::<Self>(memory, tables, |root| switch_on(RvFormat::own(mode).register(root, 0))) }
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
