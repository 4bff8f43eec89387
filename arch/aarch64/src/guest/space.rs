//! A guest's memory map: stage 2 translation (DDI 0487, D8.2), and the VMIDs that tag its TLB entries.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use addr::{Gpa, Hpa, PAGE_SIZE, Span};
use arch_api::{CpuId, GuestSpace, IrqsOff, MapError, NoVirt, Rights, TableFrames};
use isa_paging::{
    Execute, Permission, Shareability, Space, Stage2Attributes, Stage2Memory, Tables, VmsaStage2,
    pa_range_bits,
};

use crate::Aarch64;
use crate::registers::{dsb, get, isb, set};

/// Bits of a guest-physical address, where the hardware has them: two concatenated tables of level 1.
const WANTED_BITS: u32 = 40;
/// The VMIDs that are given, one bit each. They are 8 bits wide on every implementation; 0 belongs to nobody.
/// Each map has one for as long as it lives, so that no CPU ever holds an old one.
static VMIDS: [AtomicU64; 4] = [AtomicU64::new(1), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)];

/// Takes a VMID that nobody has.
fn take_vmid() -> Option<u64> {
    (0..).zip(&VMIDS).find_map(|(word, taken)| {
        let update = |taken: u64| (taken != u64::MAX).then_some(taken | (taken + 1));
        let before = taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, update).ok()?;
        Some(word * 64 + u64::from(before.trailing_ones()))
    })
}

fn give_vmid(vmid: u64) {
    if let Some(word) = VMIDS.get(vmid as usize / 64) {
        word.fetch_and(!(1 << (vmid % 64)), Ordering::AcqRel);
    }
}

/// ID_AA64MMFR0_EL1.PARange, as far as 48-bit tables reach.
pub(super) fn pa_range() -> u64 {
    (get!("id_aa64mmfr0_el1") & 0xf).min(5)
}

fn format() -> Option<VmsaStage2> {
    let range = pa_range() as u8;
    VmsaStage2::new(pa_range_bits(range).min(WANTED_BITS), range)
}

/// Prepares this CPU.
pub(super) fn enable() -> Result<(), NoVirt> {
    let format = format().ok_or(NoVirt("the processor's physical addresses are too narrow for stage 2"))?;
    // SAFETY: no guest runs yet; stage 2 is switched on by HCR_EL2.VM at the first entry.
    unsafe {
        set!("vtcr_el2", format.vtcr());
        set!("vttbr_el2", 0);
        core::arch::asm!("isb", "tlbi alle1", "dsb nsh", "isb", options(nostack));
    }
    Ok(())
}

/// A guest's memory map.
#[derive(Debug)]
pub struct Stage2 {
    space: Option<Space<VmsaStage2>>,
    tables: Frames,
    busy: AtomicBool,
    vmid: u64,
    /// For each CPU, by number: the index of the virtual CPU that ran there last (plus one). Another one's
    /// entries for the same VMID and ASID may mean something else.
    last: Box<[AtomicU32]>,
    /// Whether any CPU used the tables yet.
    used: AtomicBool,
}

#[derive(Clone, Copy)]
struct Frames(&'static dyn TableFrames);

impl core::fmt::Debug for Frames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Frames")
    }
}

/// The walker's view: frames for tables, and the TLB entries tagged with one VTTBR.
struct GuestTables {
    frames: &'static dyn TableFrames,
    /// What VTTBR_EL2 must hold for maintenance by address; `None` when no CPU ever used these tables.
    vttbr: Option<u64>,
}

impl Tables for GuestTables {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        // SAFETY: a table of this space, and an index that the walker took from an address.
        unsafe { core::ptr::read_volatile((table.get() as *const u64).add(index)) }
    }
    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        // SAFETY: as above; earlier writes are seen first by the table walker.
        unsafe {
            core::arch::asm!("dmb ishst", options(nostack, preserves_flags));
            core::ptr::write_volatile((table.get() as *mut u64).add(index), entry);
        }
    }
    fn allocate(&mut self, order: u8) -> Option<Hpa> {
        self.frames.take(order)
    }
    fn free(&mut self, table: Hpa, order: u8) {
        self.frames.give(table, order);
    }
    fn invalidate(&mut self, virt: u64, len: u64) {
        let Some(vttbr) = self.vttbr else { return };
        let _masked = IrqsOff::<Aarch64>::now();
        let own = get!("vttbr_el2");
        // SAFETY: VTTBR_EL2 names whose entries go; it is put back before a guest could run.
        unsafe {
            set!("vttbr_el2", vttbr);
            isb();
            dsb();
            let pages = len / PAGE_SIZE;
            if pages <= 64 {
                for page in 0..pages {
                    let at = (virt >> 12) + page;
                    core::arch::asm!("tlbi ipas2e1is, {}", in(reg) at, options(nostack));
                }
                dsb();
                // What stage 1 and 2 together were cached as.
                core::arch::asm!("tlbi vmalle1is", options(nostack));
            } else {
                core::arch::asm!("tlbi vmalls12e1is", options(nostack));
            }
            dsb();
            isb();
            set!("vttbr_el2", own);
            isb();
        }
    }
}

impl Stage2 {
    fn locked<R>(&self, body: impl FnOnce(&Space<VmsaStage2>, &mut GuestTables) -> R) -> Option<R> {
        let space = self.space.as_ref()?;
        let _masked = IrqsOff::<Aarch64>::now();
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let vttbr = self.used.load(Ordering::Relaxed).then(|| self.vttbr(space));
        let result = body(space, &mut GuestTables { frames: self.tables.0, vttbr });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    fn vttbr(&self, space: &Space<VmsaStage2>) -> u64 {
        space.root().get() | self.vmid << 48
    }

    /// Makes this the map of the guest that runs next on this CPU, `cpu`; it is the guest's CPU `index`.
    pub(super) fn load(&self, index: u32, cpu: CpuId, _masked: &IrqsOff<Aarch64>) {
        let Some(space) = &self.space else { return };
        if !self.used.load(Ordering::Relaxed) {
            // Before anything is cached: who changes the map from now on says so to all CPUs.
            self.locked(|_, _| self.used.store(true, Ordering::Relaxed));
        }
        // SAFETY: guests' translations are not ours.
        unsafe { set!("vttbr_el2", self.vttbr(space)) };
        isb();
        // A CPU that came up later than this map is always told to forget.
        let last = self.last.get(cpu.0 as usize).map(|last| last.swap(index + 1, Ordering::Relaxed));
        if last != Some(index + 1) {
            // SAFETY: TLB maintenance for this VMID, on this CPU.
            unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack)) };
        }
    }
}

fn attributes(rights: Rights) -> Stage2Attributes {
    let (memory, permission, execute) = match rights {
        Rights::Memory => (Stage2Memory::NormalWriteBack, Permission::ReadWrite, Execute::Allowed),
        Rights::Constant => (Stage2Memory::NormalWriteBack, Permission::Read, Execute::Allowed),
        Rights::Registers => (Stage2Memory::DeviceNGnRE, Permission::ReadWrite, Execute::Never),
    };
    Stage2Attributes { memory, permission, execute, shareability: Shareability::Inner }
}

impl GuestSpace for Stage2 {
    fn new(tables: &'static dyn TableFrames) -> Result<Self, MapError> {
        let format = format().ok_or(MapError::OutOfRange)?;
        let mut walker = GuestTables { frames: tables, vttbr: None };
        let space = Space::new(format, &mut walker).ok_or(MapError::NoMemory)?;
        let Some(vmid) = take_vmid() else {
            space.dissolve(&mut walker);
            return Err(MapError::NoMemory);
        };
        Ok(Self {
            space: Some(space),
            tables: Frames(tables),
            busy: AtomicBool::new(false),
            vmid,
            last: (0..crate::processors::count()).map(|_| AtomicU32::new(0)).collect(),
            used: AtomicBool::new(false),
        })
    }

    unsafe fn map(&self, guest: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError> {
        let mapped = self.locked(|space, tables| {
            space.map(guest.get(), host.base(), host.length(), attributes(rights), tables)
        });
        dsb();
        mapped.ok_or(MapError::NoMemory)?.map_err(|error| match error {
            isa_paging::MapError::AlreadyMapped(_) => MapError::AlreadyMapped,
            isa_paging::MapError::Misaligned => MapError::Misaligned,
            isa_paging::MapError::OutOfRange => MapError::OutOfRange,
            isa_paging::MapError::OutOfTables => MapError::NoMemory,
        })
    }

    fn unmap(&self, guest: Span<Gpa>) -> Result<(), MapError> {
        let unmapped = self.locked(|space, tables| {
            let flush = space.unmap(guest.base().get(), guest.length(), tables)?;
            if let Some((virt, len)) = flush.range() {
                tables.invalidate(virt, len);
            }
            Ok(())
        });
        unmapped.ok_or(MapError::NoMemory)?.map_err(|isa_paging::OutOfTables| MapError::NoMemory)
    }

    fn translate(&self, guest: Gpa) -> Option<Hpa> {
        self.locked(|space, tables| space.translate(guest.get(), tables)).flatten().map(|found| found.to)
    }

    fn address_bits(&self) -> u32 {
        pa_range_bits(pa_range() as u8).min(WANTED_BITS)
    }
}

impl Drop for Stage2 {
    fn drop(&mut self) {
        let Some(space) = self.space.take() else { return };
        let vttbr = self.used.load(Ordering::Relaxed).then(|| self.vttbr(&space));
        let mut tables = GuestTables { frames: self.tables.0, vttbr };
        // No CPU has these tables in its register: each evicted the last virtual CPU that used them. What is
        // cached of them ends before the frames and the number get other owners.
        tables.invalidate(0, 1 << 30);
        space.dissolve(&mut tables);
        give_vmid(self.vmid);
    }
}
