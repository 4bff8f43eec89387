//! A guest's memory map: the second stage of translation, and the VMID that tags what TLBs remember of it.
//!
//! A map has its VMID for as long as it lives, so that no CPU ever holds an old one. Maps that came when all numbers were
//! taken share number 0, and whenever one of those is loaded, everything that the CPU remembers of guests is forgotten.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use addr::{Gpa, Hpa, Span};
use arch_api::{Cpu, CpuId, GuestSpace, IrqsOff, MapError, Rights, Stale, TableFrames};
use isa_paging::{Format, Space, Tables};

use crate::remembered::{self, Remembered};
use crate::tags::Tags;
use crate::told;

/// Those that are taken, on all architectures that have at most 1024.
static TAGS: Tags<16> = Tags::new();
/// What debug builds know that CPUs remember.
static REMEMBERED: Remembered = Remembered::new();

/// What the architecture adds: the format of the tables, and the instructions about them.
pub trait GuestRegime: Cpu {
    /// The tables' format.
    type Format: Format + Send + Sync;
    /// It, for this processor; `None` where guests cannot be mapped.
    fn format() -> Option<Self::Format>;
    /// What a leaf says for what the guest may do.
    fn attributes(rights: Rights) -> <Self::Format as Format>::Attributes;
    /// How many VMIDs there are, 0 included, which those maps share that find no other.
    fn vmids() -> u64;
    /// How many CPUs there are.
    fn processors() -> usize;
    /// What the register that names a map holds for the tables at `root`: VTTBR_EL2, hgatp.
    fn register(format: &Self::Format, root: Hpa, vmid: u64) -> u64;
    /// Earlier stores are seen by table walkers before later ones.
    fn order();
    /// What was mapped anew is seen by guests of the map in `register`, if any CPU ever used it.
    fn publish(register: Option<u64>, virt: u64, len: u64);
    /// All CPUs forget what they remember of these bytes of the map in `register`.
    fn invalidate(register: u64, virt: u64, len: u64);
    /// Makes a map the one of the guest that runs next on this CPU.
    fn load(register: u64, masked: &IrqsOff<Self>);
    /// This CPU forgets what the loaded guest's own tables said.
    fn forget_own_tables(masked: &IrqsOff<Self>);
    /// This CPU forgets everything of all guests.
    fn forget_all(masked: &IrqsOff<Self>);
    /// [`GuestSpace::forget`], for the map in `register`.
    fn forget(_register: u64, _what: Stale) {}
}

/// A guest's memory map.
#[derive(Debug)]
pub struct GuestMap<R: GuestRegime> {
    space: Option<Space<R::Format>>,
    tables: Frames,
    busy: AtomicBool,
    /// 0: that of all maps that have none of their own.
    vmid: u64,
    /// Whether any CPU used the map yet.
    used: AtomicBool,
    /// For each CPU, by number: the index of the virtual CPU that ran there last (plus one). What another one's
    /// tables said of the same address and ASID may be something else.
    last: Box<[AtomicU32]>,
    regime: PhantomData<fn() -> R>,
}

#[derive(Clone, Copy)]
struct Frames(&'static dyn TableFrames);

// SAFETY: frames are taken and given from any context (`TableFrames`).
unsafe impl Send for Frames {}

impl core::fmt::Debug for Frames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Frames")
    }
}

/// The walker's view: frames for tables, and the TLB entries of one map.
struct GuestTables<R> {
    frames: &'static dyn TableFrames,
    /// The map's register; `None` when no CPU ever used these tables.
    register: Option<u64>,
    regime: PhantomData<R>,
}

impl<R: GuestRegime> Tables for GuestTables<R> {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        // SAFETY: a table of this space, and an index that the walker took from an address.
        unsafe { core::ptr::read_volatile((table.get() as *const u64).add(index)) }
    }
    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        R::order();
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile((table.get() as *mut u64).add(index), entry) };
    }
    fn allocate(&mut self, order: u8) -> Option<Hpa> {
        self.frames.take(order)
    }
    fn free(&mut self, table: Hpa, order: u8) {
        self.frames.give(table, order);
    }
    fn invalidate(&mut self, virt: u64, len: u64) {
        if let Some(register) = self.register {
            R::invalidate(register, virt, len);
        }
    }
}

impl<R: GuestRegime> GuestMap<R> {
    fn tables(&self, space: &Space<R::Format>) -> GuestTables<R> {
        let register = self.used.load(Ordering::Relaxed).then(|| self.register(space));
        GuestTables { frames: self.tables.0, register, regime: PhantomData }
    }

    fn locked<T>(&self, body: impl FnOnce(&Space<R::Format>, &mut GuestTables<R>) -> T) -> Option<T> {
        let space = self.space.as_ref()?;
        let _masked = IrqsOff::<R>::now();
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let result = body(space, &mut self.tables(space));
        self.busy.store(false, Ordering::Release);
        Some(result)
    }

    fn register(&self, space: &Space<R::Format>) -> u64 {
        R::register(space.format(), space.root(), self.vmid)
    }

    /// Makes this the map of the guest that runs next on this CPU, `cpu`; it is the guest's CPU `index`.
    pub fn load(&self, index: u32, cpu: CpuId, masked: &IrqsOff<R>) {
        let Some(space) = &self.space else { return };
        if !self.used.load(Ordering::Relaxed) {
            // Before anything is cached: who changes the map from now on says so to all CPUs.
            self.locked(|_, _| self.used.store(true, Ordering::Relaxed));
        }
        R::load(self.register(space), masked);
        // A CPU that came up later than this map is always told to forget.
        let last = self.last.get(cpu.0 as usize).map(|last| last.swap(index + 1, Ordering::Relaxed));
        if self.vmid == 0 {
            forget_all(cpu, masked);
        } else if last != Some(index + 1) {
            R::forget_own_tables(masked);
        }
        if cfg!(debug_assertions) {
            REMEMBERED.load(cpu.0, self.vmid, space.root());
        }
    }

    /// All CPUs forget the map: its frames and its number get other owners.
    fn forget(space: &Space<R::Format>, tables: &mut GuestTables<R>) {
        tables.invalidate(0, u64::MAX);
        if cfg!(debug_assertions) {
            REMEMBERED.forget_map(space.root());
        }
    }
}

/// This CPU, `cpu`, forgets everything of all guests.
fn forget_all<R: GuestRegime>(cpu: CpuId, masked: &IrqsOff<R>) {
    R::forget_all(masked);
    if cfg!(debug_assertions) {
        REMEMBERED.forget_all(cpu.0);
    }
}

impl<R: GuestRegime> GuestSpace for GuestMap<R> {
    fn new(tables: &'static dyn TableFrames) -> Result<Self, MapError> {
        let format = R::format().ok_or(MapError::OutOfRange)?;
        let mut walker = GuestTables::<R> { frames: tables, register: None, regime: PhantomData };
        let space = Space::new(format, &mut walker).ok_or(MapError::NoMemory)?;
        // Guests are to share and to come after others in debug builds, where it is seen if that goes wrong.
        let most = if cfg!(debug_assertions) { remembered::VMIDS } else { u64::MAX };
        let vmid = TAGS.take(R::vmids().min(most)).unwrap_or(0);
        Ok(Self {
            space: Some(space),
            tables: Frames(tables),
            busy: AtomicBool::new(false),
            vmid,
            used: AtomicBool::new(false),
            last: (0..R::processors()).map(|_| AtomicU32::new(0)).collect(),
            regime: PhantomData,
        })
    }

    unsafe fn map(&self, guest: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError> {
        let mapped = self.locked(|space, tables| {
            space.map(guest.get(), host.base(), host.length(), R::attributes(rights), tables)?;
            R::publish(tables.register, guest.get(), host.length());
            Ok(())
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
        R::format().map_or(0, |format| format.input_bits())
    }

    fn forget(&self, what: Stale) {
        if let Some(space) = &self.space {
            R::forget(self.register(space), what);
        }
    }
}

impl<R: GuestRegime> Drop for GuestMap<R> {
    fn drop(&mut self) {
        let Some(space) = self.space.take() else { return };
        let mut tables = self.tables(&space);
        // No CPU has these tables in its register: each evicted the last virtual CPU that used them. What is
        // remembered of them ends before the frames and the number get other owners.
        Self::forget(&space, &mut tables);
        space.dissolve(&mut tables);
        if self.vmid != 0 {
            TAGS.give(self.vmid);
        }
    }
}

#[cfg(test)]
mod tests;
