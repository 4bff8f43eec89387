//! A guest's memory map: the second stage of translation (Priv, "Two-Stage Address Translation"), in the
//! largest mode that the hart has, and the VMIDs that tag what TLBs remember of it.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use addr::{Gpa, Hpa, PAGE_SIZE, Span};
use arch_api::{CpuId, GuestSpace, IrqsOff, MapError, NoVirt, Rights, Stale, TableFrames};
use arch_parts::tags::Tags;
use arch_parts::told;
use isa_paging::{Format, RvAttributes, RvFormat, RvMemory, RvMode, Space, Tables};

use crate::csr::{get, set};
use crate::{Riscv64, cpu, sbi};

/// The mode's field in `hgatp`; 0 before it was chosen.
static MODE: AtomicU8 = AtomicU8::new(0);
/// VMIDs that exist, 0 included.
static VMIDS: AtomicU64 = AtomicU64::new(1);
/// Those that are taken.
static TAGS: Tags<16> = Tags::new();
/// Where the VMID stands in `hgatp`, and its greatest width.
const VMID_SHIFT: u32 = 44;
const VMID_MASK: u64 = (1 << 14) - 1;
/// Pages above which everything of a guest is forgotten at once.
const MANY: u64 = 64;

fn format() -> Option<RvFormat> {
    let chosen = MODE.load(Ordering::Relaxed);
    RvMode::ALL.into_iter().find(|mode| mode.field() == u64::from(chosen)).map(RvFormat::guest)
}

/// The mode's name, for a table.
pub(super) fn name() -> &'static str {
    match format().map(RvFormat::mode) {
        Some(RvMode::Sv57) => "Sv57x4",
        Some(RvMode::Sv48) => "Sv48x4",
        Some(RvMode::Sv39) => "Sv39x4",
        None => "are not possible",
    }
}

/// Prepares this CPU. The first one chooses for all: `hgatp` keeps what it can of what is written to it.
pub(super) fn enable() -> Result<(), NoVirt> {
    let keeps = |value: u64| {
        // SAFETY: no guest runs, and no translation of one is asked for.
        unsafe { set!("hgatp", value) };
        get!("hgatp")
    };
    let mode = RvMode::ALL
        .into_iter()
        .find(|mode| keeps(mode.field() << 60) >> 60 == mode.field())
        .ok_or(NoVirt("the hart has no translation for guests (hgatp)"))?;
    let vmids = (keeps(mode.field() << 60 | VMID_MASK << VMID_SHIFT) >> VMID_SHIFT & VMID_MASK) + 1;
    MODE.store(mode.field() as u8, Ordering::Relaxed);
    VMIDS.store(vmids, Ordering::Relaxed);
    keeps(0);
    fence_all();
    Ok(())
}

/// Forgets everything of all guests on this hart.
fn fence_all() {
    // SAFETY: maintenance of what is remembered of guests.
    unsafe {
        core::arch::asm!(
            ".option push",
            ".option arch, +h",
            "hfence.gvma",
            "hfence.vvma",
            ".option pop",
            options(nostack)
        );
    }
}

/// Forgets what the loaded guest's own tables said, on this hart.
fn fence_own_tables() {
    // SAFETY: as above, for the VMID in `hgatp`.
    unsafe {
        core::arch::asm!(".option push", ".option arch, +h", "hfence.vvma", ".option pop", options(nostack));
    }
}

/// A guest's memory map.
#[derive(Debug)]
pub struct GStage {
    space: Option<Space<RvFormat>>,
    tables: Frames,
    busy: AtomicBool,
    /// 0 where the processor has no VMIDs: then everything is forgotten whenever guests change.
    vmid: u64,
    /// Whether a CPU ever used the map.
    used: AtomicBool,
    /// For each CPU, by number: the index of the virtual CPU that ran there last (plus one). What another one's
    /// tables said of the same address and ASID may be something else.
    last: Box<[AtomicU32]>,
}

#[derive(Clone, Copy)]
struct Frames(&'static dyn TableFrames);

impl core::fmt::Debug for Frames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Frames")
    }
}

/// The walker's view: frames for tables, and the TLB entries of one VMID.
struct GuestTables {
    frames: &'static dyn TableFrames,
    /// The VMID; `None` when no CPU ever used these tables.
    vmid: Option<u64>,
}

impl Tables for GuestTables {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        // SAFETY: a table of this space, and an index that the walker took from an address.
        unsafe { core::ptr::read_volatile((table.get() as *const u64).add(index)) }
    }
    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        // SAFETY: as above; earlier writes are seen first by the table walker.
        unsafe {
            core::arch::asm!("fence w, w", options(nostack, preserves_flags));
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
        let Some(vmid) = self.vmid else { return };
        let _masked = IrqsOff::<Riscv64>::now();
        let many = len / PAGE_SIZE > MANY;
        if cpu::others() {
            // The firmware makes the same fence on the asking hart.
            let (from, length) = if many { (0, u64::MAX) } else { (virt, len) };
            sbi::fence_everywhere(sbi::Fence::GuestPhysicalVmid, from, length, vmid);
            return;
        }
        // SAFETY: maintenance of what is remembered of guests.
        unsafe {
            core::arch::asm!("fence w, w", options(nostack, preserves_flags));
            if many {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.gvma zero, {}", ".option pop",
                    in(reg) vmid, options(nostack)
                );
            } else {
                for page in 0..len / PAGE_SIZE {
                    core::arch::asm!(
                        ".option push", ".option arch, +h", "hfence.gvma {}, {}", ".option pop",
                        in(reg) (virt + page * PAGE_SIZE) >> 2, in(reg) vmid, options(nostack)
                    );
                }
            }
        }
    }
}

impl GStage {
    fn locked<R>(&self, body: impl FnOnce(&Space<RvFormat>, &mut GuestTables) -> R) -> Option<R> {
        let space = self.space.as_ref()?;
        let _masked = IrqsOff::<Riscv64>::now();
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let vmid = self.used.load(Ordering::Relaxed).then_some(self.vmid);
        let result = body(space, &mut GuestTables { frames: self.tables.0, vmid });
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    fn hgatp(&self, space: &Space<RvFormat>) -> u64 {
        space.format().register(space.root(), self.vmid as u16)
    }

    /// Makes this the map of the guest that runs next on this CPU, `cpu`; it is the guest's CPU `index`.
    pub(super) fn load(&self, index: u32, cpu: CpuId, _masked: &IrqsOff<Riscv64>) {
        let Some(space) = &self.space else { return };
        if !self.used.load(Ordering::Relaxed) {
            // Before anything is cached: who changes the map from now on says so to all CPUs.
            self.locked(|_, _| self.used.store(true, Ordering::Relaxed));
        }
        // SAFETY: guests' translations are not ours.
        unsafe { set!("hgatp", self.hgatp(space)) };
        // A CPU that came up later than this map is always told to forget.
        let last = self.last.get(cpu.0 as usize).map(|last| last.swap(index + 1, Ordering::Relaxed));
        if self.vmid == 0 {
            fence_all();
        } else if last != Some(index + 1) {
            fence_own_tables();
        }
    }
}

/// No guest's map is left to be walked on this CPU.
pub(super) fn unload() {
    // SAFETY: no guest runs until the next one is loaded.
    unsafe { set!("hgatp", 0) };
}

fn attributes(rights: Rights) -> RvAttributes {
    let (write, execute) = match rights {
        Rights::Memory => (true, true),
        Rights::Constant => (false, true),
        Rights::Registers => (true, false),
    };
    RvAttributes { write, execute, memory: RvMemory::Physical }
}

impl GuestSpace for GStage {
    fn new(tables: &'static dyn TableFrames) -> Result<Self, MapError> {
        let format = format().ok_or(MapError::OutOfRange)?;
        let mut walker = GuestTables { frames: tables, vmid: None };
        let space = Space::new(format, &mut walker).ok_or(MapError::NoMemory)?;
        let vmids = VMIDS.load(Ordering::Relaxed);
        let vmid = if vmids == 1 { Some(0) } else { TAGS.take(vmids) };
        let Some(vmid) = vmid else {
            space.dissolve(&mut walker);
            return Err(MapError::NoMemory);
        };
        Ok(Self {
            space: Some(space),
            tables: Frames(tables),
            busy: AtomicBool::new(false),
            vmid,
            used: AtomicBool::new(false),
            last: (0..cpu::BLOCKS.count()).map(|_| AtomicU32::new(0)).collect(),
        })
    }

    unsafe fn map(&self, guest: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError> {
        let mapped = self.locked(|space, tables| {
            space.map(guest.get(), host.base(), host.length(), attributes(rights), tables)
        });
        mapped.ok_or(MapError::NoMemory)?.map_err(told)
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
        format().map_or(0, |format| format.input_bits())
    }

    fn forget(&self, what: Stale) {
        let Some(space) = &self.space else { return };
        let (from, length, asid) = match what {
            Stale::Instructions => {
                // SAFETY: a barrier.
                unsafe { core::arch::asm!("fence.i", options(nostack)) };
                if cpu::others() {
                    sbi::fence_everywhere(sbi::Fence::Instructions, 0, 0, 0);
                }
                return;
            }
            Stale::Addresses { from, length, space } => (from, length, space),
        };
        let _masked = IrqsOff::<Riscv64>::now();
        let own = get!("hgatp");
        // SAFETY: `hgatp` names whose entries go; it is put back before a guest could run.
        unsafe { set!("hgatp", self.hgatp(space)) };
        if cpu::others() {
            let (from, length) = if length / PAGE_SIZE > MANY { (0, u64::MAX) } else { (from, length) };
            match asid {
                Some(asid) => sbi::fence_everywhere(sbi::Fence::GuestVirtualAsid, from, length, asid.into()),
                None => sbi::fence_everywhere(sbi::Fence::GuestVirtual, from, length, 0),
            };
        } else {
            fence_addresses(from, length, asid);
        }
        // SAFETY: as it was.
        unsafe { set!("hgatp", own) };
    }
}

/// HFENCE.VVMA over a range of addresses of the guest in `hgatp`, on this hart.
fn fence_addresses(from: u64, length: u64, asid: Option<u16>) {
    if length / PAGE_SIZE > MANY {
        match asid {
            // SAFETY: maintenance of what is remembered of guests.
            Some(asid) => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma zero, {}", ".option pop",
                    in(reg) u64::from(asid), options(nostack)
                );
            },
            None => fence_own_tables(),
        }
        return;
    }
    let first = from & !(PAGE_SIZE - 1);
    let pages = (from - first).saturating_add(length).div_ceil(PAGE_SIZE);
    for page in 0..pages {
        let at = first.wrapping_add(page * PAGE_SIZE);
        match asid {
            // SAFETY: as above.
            Some(asid) => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma {}, {}", ".option pop",
                    in(reg) at, in(reg) u64::from(asid), options(nostack)
                );
            },
            // SAFETY: as above.
            None => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma {}, zero", ".option pop",
                    in(reg) at, options(nostack)
                );
            },
        }
    }
}

impl Drop for GStage {
    fn drop(&mut self) {
        let Some(space) = self.space.take() else { return };
        let vmid = self.used.load(Ordering::Relaxed).then_some(self.vmid);
        let mut tables = GuestTables { frames: self.tables.0, vmid };
        // No CPU has these tables in its register: each evicted the last virtual CPU that used them. What is
        // remembered of them ends before the frames and the number get other owners.
        tables.invalidate(0, u64::MAX);
        space.dissolve(&mut tables);
        if self.vmid != 0 {
            TAGS.give(self.vmid);
        }
    }
}
