//! Our own address space: EL2 stage 1, every frame of memory at its physical address.
//!
//! The start-up code maps the gigabytes that hold the image, the device tree and the console, so that
//! Rust can run with caches on. [`HostPaging::start`] replaces that by the final map: all of memory as
//! data, the image by its parts, nothing both writable and executable (SCTLR_EL2.WXN sees to it).

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{HostPaging, Kind, MapError, TableFrames};
use isa_paging::{Execute, Permission, Shareability, Space, Stage1Attributes, Tables, VmsaStage1El2};

use crate::registers::{dsb, get, isb, set};
use crate::{Aarch64, console, cpu};

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
    (MAIR, format().tcr(), ROOT.load(Ordering::Acquire), SCTLR | WXN)
}

// ——— The final map ———

/// The root of the final map; 0 before there is one.
static ROOT: AtomicU64 = AtomicU64::new(0);
/// Where the next guarded stack goes.
static NEXT_GUARDED: AtomicU64 = AtomicU64::new(GUARDED);
static BUSY: AtomicBool = AtomicBool::new(false);
static FRAMES: Frames = Frames(UnsafeCell::new(None));

struct Frames(UnsafeCell<Option<&'static dyn TableFrames>>);
// SAFETY: written once, by `start`, before `ROOT`; read only after `ROOT` was seen.
unsafe impl Sync for Frames {}

/// The frames that tables are made of, and the TLB behind them.
pub(crate) struct OwnTables(&'static dyn TableFrames);

impl Tables for OwnTables {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        // SAFETY: a table of ours, and an index that the walker took from an address.
        unsafe { core::ptr::read_volatile((table.get() as *const u64).add(index)) }
    }
    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        // SAFETY: as above; the barrier lets the table walker see earlier writes first.
        unsafe {
            core::arch::asm!("dmb ishst", options(nostack, preserves_flags));
            core::ptr::write_volatile((table.get() as *mut u64).add(index), entry);
        }
    }
    fn allocate(&mut self, order: u8) -> Option<Hpa> {
        self.0.take(order)
    }
    fn free(&mut self, table: Hpa, order: u8) {
        self.0.give(table, order);
    }
    fn invalidate(&mut self, virt: u64, len: u64) {
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
}

/// Runs `body` with the tables to itself. Interrupts are masked meanwhile, so the holder is not kept
/// from finishing by somebody on the same CPU.
fn with_tables<R>(body: impl FnOnce(&Space<VmsaStage1El2>, &mut OwnTables) -> R) -> Option<R> {
    let _masked = arch_api::IrqsOff::<Aarch64>::now();
    let root = ROOT.load(Ordering::Acquire);
    // SAFETY: `ROOT` was set after `FRAMES`; before, this is `None`, too.
    let frames = unsafe { *FRAMES.0.get() };
    let (Some(frames), true) = (frames, root != 0) else { return None };
    while BUSY.swap(true, Ordering::Acquire) {
        core::hint::spin_loop();
    }
    let result = body(&Space::from_root(format(), Hpa::new(root)), &mut OwnTables(frames));
    BUSY.store(false, Ordering::Release);
    // A new mapping is seen by the table walker before it is used.
    dsb();
    isb();
    Some(result)
}

fn told(error: isa_paging::MapError) -> MapError {
    match error {
        isa_paging::MapError::AlreadyMapped(_) => MapError::AlreadyMapped,
        isa_paging::MapError::Misaligned => MapError::Misaligned,
        isa_paging::MapError::OutOfRange => MapError::OutOfRange,
        isa_paging::MapError::OutOfTables => MapError::NoMemory,
    }
}

unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __boot_stack_guard: u8;
}

impl HostPaging for Aarch64 {
    fn address_of(frame: Hpa) -> *mut u8 {
        frame.get() as *mut u8
    }

    fn frame_of(address: *const u8) -> Hpa {
        Hpa::new(address as u64)
    }

    unsafe fn start(memory: &[Span<Hpa>], tables: &'static dyn TableFrames) -> Result<(), MapError> {
        let mut frames = OwnTables(tables);
        let space = Space::new(format(), &mut frames).ok_or(MapError::NoMemory)?;
        let page = |at: usize| (at as u64).next_multiple_of(PAGE_SIZE);
        let (image, _) = cpu::image_bounds();
        let guard = (&raw const __boot_stack_guard) as u64;
        // The image from below to above: what is not listed (the guard page) stays unmapped.
        let parts = [
            (image as u64, page((&raw const __text_end) as usize), Kind::Code),
            (
                page((&raw const __text_end) as usize),
                page((&raw const __rodata_end) as usize),
                Kind::Constant,
            ),
            (page((&raw const __rodata_end) as usize), guard, Kind::Data),
            (guard + PAGE_SIZE, page(cpu::image_bounds().1), Kind::Data),
            (page(cpu::image_bounds().1), page(cpu::image_limit()), Kind::Constant),
        ];
        let limit = page(cpu::image_limit());
        let mut map = |from: u64, to: u64, kind: Kind| {
            if from >= to {
                return Ok(());
            }
            space.map(from, Hpa::new(from), to - from, attributes(kind), &mut frames).map_err(told)
        };
        for bank in memory {
            // The first page stays out, so that a null pointer is a fault where RAM begins at 0.
            let from = bank.base().get().max(PAGE_SIZE);
            let to = (bank.base().get() + bank.length()) & !(PAGE_SIZE - 1);
            map(from, to.min(image as u64), Kind::Data)?;
            map(from.max(limit), to, Kind::Data)?;
        }
        for (from, to, kind) in parts {
            map(from, to, kind)?;
        }
        if let Some(uart) = console::base() {
            let at = uart as u64 & !(PAGE_SIZE - 1);
            map(at, at + PAGE_SIZE, Kind::Registers)?;
        }
        // SAFETY: by the boot CPU alone, before `ROOT` tells others that it is there.
        unsafe { *FRAMES.0.get() = Some(tables) };
        // The device tree may lie outside of what is memory now: whoever needs it copied it, or it is in a bank.
        // SAFETY: the new map is the identity, too, and holds the image and its stack.
        unsafe { switch_on(space.root().get(), SCTLR | WXN) };
        ROOT.store(space.root().get(), Ordering::Release);
        Ok(())
    }

    unsafe fn map(span: Span<Hpa>, kind: Kind) -> Result<*mut u8, MapError> {
        let at = span.base().get();
        let mapped = with_tables(|space, tables| {
            if let Some(there) = space.translate(at, tables) {
                // The early console's page: the driver that takes it over may have it as it is.
                if there.attributes == attributes(kind) {
                    let first = at & !(PAGE_SIZE - 1);
                    let rest =
                        (span.length() + (at - first)).next_multiple_of(PAGE_SIZE).saturating_sub(PAGE_SIZE);
                    return if rest == 0 {
                        Ok(())
                    } else {
                        let next = first + PAGE_SIZE;
                        match space.map(next, Hpa::new(next), rest, attributes(kind), tables) {
                            Err(isa_paging::MapError::AlreadyMapped(_))
                                if space
                                    .translate(next, tables)
                                    .is_some_and(|t| t.attributes == attributes(kind)) =>
                            {
                                Ok(())
                            }
                            other => other,
                        }
                    };
                }
            }
            let first = at & !(PAGE_SIZE - 1);
            let length = (at - first + span.length()).next_multiple_of(PAGE_SIZE);
            space.map(first, Hpa::new(first), length, attributes(kind), tables)
        });
        mapped.ok_or(MapError::NoMemory)?.map_err(told)?;
        Ok(at as *mut u8)
    }

    unsafe fn unmap(at: *mut u8, length: u64) -> Result<(), MapError> {
        let from = at as u64 & !(PAGE_SIZE - 1);
        let length = (at as u64 - from + length).next_multiple_of(PAGE_SIZE);
        if console::base().is_some_and(|uart| (from..from + length).contains(&(uart as u64))) {
            // The panic report needs it.
            return Ok(());
        }
        let done = with_tables(|space, tables| {
            let flush = space.unmap(from, length, tables)?;
            if let Some((virt, len)) = flush.range() {
                tables.invalidate(virt, len);
            }
            Ok(())
        });
        done.ok_or(MapError::NoMemory)?.map_err(|isa_paging::OutOfTables| MapError::NoMemory)
    }

    unsafe fn map_guarded(frames: &[Hpa]) -> Result<*mut u8, MapError> {
        let length = frames.len() as u64 * PAGE_SIZE;
        let mapped = with_tables(|space, tables| {
            // The first gap from the last place on, beginning anew once the end is reached.
            let mut at = NEXT_GUARDED.load(Ordering::Relaxed);
            for lap in 0..2 {
                while at + length + PAGE_SIZE <= GUARDED_END {
                    let taken = (0..=frames.len() as u64)
                        .rev()
                        .find(|page| space.translate(at + page * PAGE_SIZE, tables).is_some());
                    match taken {
                        None => return map_frames(space, tables, at + PAGE_SIZE, frames),
                        Some(page) => at += (page + 1) * PAGE_SIZE,
                    }
                }
                if lap == 0 {
                    at = GUARDED;
                }
            }
            Err(MapError::OutOfRange)
        });
        mapped.ok_or(MapError::NoMemory)?
    }

    unsafe fn unmap_guarded(at: *mut u8, pages: usize) {
        let length = pages as u64 * PAGE_SIZE;
        with_tables(|space, tables| {
            // Pages, never blocks: nothing is split, so no table is needed.
            if let Ok(flush) = space.unmap(at as u64, length, tables)
                && let Some((virt, len)) = flush.range()
            {
                tables.invalidate(virt, len);
            }
            NEXT_GUARDED.fetch_min(at as u64 - PAGE_SIZE, Ordering::Relaxed);
        });
    }
}

/// Maps the frames of a stack; where the next search may begin is noted.
fn map_frames(
    space: &Space<VmsaStage1El2>,
    tables: &mut OwnTables,
    first: u64,
    frames: &[Hpa],
) -> Result<*mut u8, MapError> {
    let mut at = first;
    for frame in frames {
        if let Err(error) = space.map(at, *frame, PAGE_SIZE, attributes(Kind::Data), tables) {
            if let Ok(flush) = space.unmap(first, at - first, tables)
                && let Some((virt, len)) = flush.range()
            {
                tables.invalidate(virt, len);
            }
            return Err(told(error));
        }
        at += PAGE_SIZE;
    }
    NEXT_GUARDED.store(at, Ordering::Relaxed);
    Ok(first as *mut u8)
}
