//! Our own address space: every frame of memory at its physical address, the image by its parts, stacks
//! above a page that is not mapped. Nothing is both writable and executable.
//!
//! The map is the same on all CPUs; who changes it does so alone, and tells the others' TLBs.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{Cpu, IrqsOff, Kind, MapError, TableFrames};
use isa_paging::{Format, Space, Tables};

use crate::{console, image, told};

/// What the architecture adds: the format of the tables, and the instructions about them.
pub trait Regime: Cpu {
    /// The tables' format.
    type Format: Format;
    /// It, for this processor.
    fn format() -> Self::Format;
    /// What a leaf says for each kind.
    fn attributes(kind: Kind) -> <Self::Format as Format>::Attributes;
    /// From and up to where guarded stacks are seen: addresses that are nobody's physical ones.
    fn guarded() -> (u64, u64);
    /// Earlier stores are seen by table walkers before later ones.
    fn order();
    /// All CPUs forget what they remember of these bytes of our own space.
    fn invalidate(virt: u64, len: u64);
    /// What was mapped anew may be used when this returns, by any CPU.
    fn publish();
}

/// The address space of a machine; a `static`.
#[derive(Debug)]
pub struct Own {
    /// The root of the final map; 0 before there is one.
    root: AtomicU64,
    /// Where the next guarded stack goes; 0 before the first.
    next_guarded: AtomicU64,
    busy: AtomicBool,
    frames: Frames,
}

struct Frames(UnsafeCell<Option<&'static dyn TableFrames>>);
// SAFETY: written once, by `start`, before `root`; read only after `root` was seen.
unsafe impl Sync for Frames {}

impl core::fmt::Debug for Frames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Frames")
    }
}

/// The frames that tables are made of, and the TLB behind them.
struct OwnTables<R>(&'static dyn TableFrames, core::marker::PhantomData<R>);

impl<R: Regime> Tables for OwnTables<R> {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        // SAFETY: a table of ours, at its physical address, and an index that the walker took from an address.
        unsafe { core::ptr::read_volatile((table.get() as *const u64).add(index)) }
    }
    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        R::order();
        // SAFETY: as above.
        unsafe { core::ptr::write_volatile((table.get() as *mut u64).add(index), entry) };
    }
    fn allocate(&mut self, order: u8) -> Option<Hpa> {
        self.0.take(order)
    }
    fn free(&mut self, table: Hpa, order: u8) {
        self.0.give(table, order);
    }
    fn invalidate(&mut self, virt: u64, len: u64) {
        R::invalidate(virt, len);
    }
}

const fn page(at: usize) -> u64 {
    (at as u64).next_multiple_of(PAGE_SIZE)
}

impl Own {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            root: AtomicU64::new(0),
            next_guarded: AtomicU64::new(0),
            busy: AtomicBool::new(false),
            frames: Frames(UnsafeCell::new(None)),
        }
    }

    /// The root of the final map; `None` before there is one.
    pub fn root(&self) -> Option<Hpa> {
        match self.root.load(Ordering::Acquire) {
            0 => None,
            root => Some(Hpa::new(root)),
        }
    }

    /// Makes the final map: all of `memory` as data, the image as what its parts are, the early console. Calls
    /// `switch_on` with its root; from then on it can be changed.
    ///
    /// # Safety
    /// Called once, by the boot CPU, before anything else runs; `memory` is RAM at its physical address, and
    /// `switch_on` uses the map from then on.
    pub unsafe fn start<R: Regime>(
        &self,
        memory: &[Span<Hpa>],
        tables: &'static dyn TableFrames,
        switch_on: impl FnOnce(Hpa),
    ) -> Result<(), MapError> {
        let mut frames = OwnTables::<R>(tables, core::marker::PhantomData);
        let space = Space::new(R::format(), &mut frames).ok_or(MapError::NoMemory)?;
        let (from, end) = image::bounds();
        let (text_end, constants_end) = image::parts();
        let guard = image::guard() as u64;
        let limit = page(image::limit());
        // The image from below to above: what is not listed (the guard page) stays unmapped.
        let parts = [
            (from as u64, page(text_end), Kind::Code),
            (page(text_end), page(constants_end), Kind::Constant),
            (page(constants_end), guard, Kind::Data),
            (guard + PAGE_SIZE, page(end), Kind::Data),
            (page(end), limit, Kind::Constant),
        ];
        let mut map = |from: u64, to: u64, kind: Kind| {
            if from >= to {
                return Ok(());
            }
            space.map(from, Hpa::new(from), to - from, R::attributes(kind), &mut frames).map_err(told)
        };
        for bank in memory {
            // The first page stays out, so that a null pointer is a fault where RAM begins at 0.
            let first = bank.base().get().max(PAGE_SIZE);
            let to = (bank.base().get() + bank.length()) & !(PAGE_SIZE - 1);
            map(first, to.min(from as u64), Kind::Data)?;
            map(first.max(limit), to, Kind::Data)?;
        }
        for (from, to, kind) in parts {
            map(from, to, kind)?;
        }
        if let Some(uart) = console::base() {
            let at = uart as u64 & !(PAGE_SIZE - 1);
            map(at, at + PAGE_SIZE, Kind::Registers)?;
        }
        // SAFETY: by the boot CPU alone, before `root` tells others that it is there.
        unsafe { *self.frames.0.get() = Some(tables) };
        // The device tree may lie outside of what is memory now: whoever needs it copied it, or it is in a bank.
        switch_on(space.root());
        self.root.store(space.root().get(), Ordering::Release);
        Ok(())
    }

    /// Runs `body` with the tables to itself. Interrupts are masked meanwhile, so the holder is not kept
    /// from finishing by somebody on the same CPU.
    fn with_tables<R: Regime, T>(
        &self,
        body: impl FnOnce(&Space<R::Format>, &mut OwnTables<R>) -> T,
    ) -> Option<T> {
        let _masked = IrqsOff::<R>::now();
        let root = self.root()?;
        // SAFETY: `root` was set after `frames`.
        let frames = unsafe { *self.frames.0.get() }?;
        while self.busy.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let space = Space::from_root(R::format(), root);
        let result = body(&space, &mut OwnTables(frames, core::marker::PhantomData));
        self.busy.store(false, Ordering::Release);
        // A new mapping is seen by the table walker before it is used.
        R::publish();
        Some(result)
    }

    /// [`arch_api::HostPaging::map`].
    pub fn map<R: Regime>(&self, span: Span<Hpa>, kind: Kind) -> Result<*mut u8, MapError> {
        let at = span.base().get();
        let first = at & !(PAGE_SIZE - 1);
        let end = (at + span.length()).next_multiple_of(PAGE_SIZE);
        let mapped = self.with_tables::<R, _>(|space, tables| {
            // What is mapped already in the same way may stay: the early console's page, which its driver
            // takes over, and pages that several devices share.
            let mut next = first;
            while next < end {
                let same = space
                    .translate(next, tables)
                    .is_some_and(|there| there.to.get() == next && there.attributes == R::attributes(kind));
                if !same {
                    break;
                }
                next += PAGE_SIZE;
            }
            if next == end {
                return Ok(());
            }
            space.map(next, Hpa::new(next), end - next, R::attributes(kind), tables)
        });
        mapped.ok_or(MapError::NoMemory)?.map_err(told)?;
        Ok(at as *mut u8)
    }

    /// [`arch_api::HostPaging::unmap`].
    pub fn unmap<R: Regime>(&self, at: *mut u8, length: u64) -> Result<(), MapError> {
        let from = at as u64 & !(PAGE_SIZE - 1);
        let length = (at as u64 - from + length).next_multiple_of(PAGE_SIZE);
        if console::base().is_some_and(|uart| (from..from + length).contains(&(uart as u64))) {
            // The panic report needs it.
            return Ok(());
        }
        let done = self.with_tables::<R, _>(|space, tables| {
            let flush = space.unmap(from, length, tables)?;
            if let Some((virt, len)) = flush.range() {
                tables.invalidate(virt, len);
            }
            Ok(())
        });
        done.ok_or(MapError::NoMemory)?.map_err(|isa_paging::OutOfTables| MapError::NoMemory)
    }

    /// [`arch_api::HostPaging::map_guarded`].
    pub fn map_guarded<R: Regime>(&self, frames: &[Hpa]) -> Result<*mut u8, MapError> {
        let length = frames.len() as u64 * PAGE_SIZE;
        let (guarded, guarded_end) = R::guarded();
        let mapped = self.with_tables::<R, _>(|space, tables| {
            // The first gap from the last place on, beginning anew once the end is reached.
            let mut at = self.next_guarded.load(Ordering::Relaxed).max(guarded);
            for lap in 0..2 {
                while at + length + PAGE_SIZE <= guarded_end {
                    let taken = (0..=frames.len() as u64)
                        .rev()
                        .find(|page| space.translate(at + page * PAGE_SIZE, tables).is_some());
                    match taken {
                        None => return self.map_frames(space, tables, at + PAGE_SIZE, frames),
                        Some(page) => at += (page + 1) * PAGE_SIZE,
                    }
                }
                if lap == 0 {
                    at = guarded;
                }
            }
            Err(MapError::OutOfRange)
        });
        mapped.ok_or(MapError::NoMemory)?
    }

    /// [`arch_api::HostPaging::unmap_guarded`].
    pub fn unmap_guarded<R: Regime>(&self, at: *mut u8, pages: usize) {
        let length = pages as u64 * PAGE_SIZE;
        self.with_tables::<R, _>(|space, tables| {
            // Pages, never blocks: nothing is split, so no table is needed.
            if let Ok(flush) = space.unmap(at as u64, length, tables)
                && let Some((virt, len)) = flush.range()
            {
                tables.invalidate(virt, len);
            }
            self.next_guarded.fetch_min(at as u64 - PAGE_SIZE, Ordering::Relaxed);
        });
    }

    /// Maps the frames of a stack; where the next search may begin is noted.
    fn map_frames<R: Regime>(
        &self,
        space: &Space<R::Format>,
        tables: &mut OwnTables<R>,
        first: u64,
        frames: &[Hpa],
    ) -> Result<*mut u8, MapError> {
        let mut at = first;
        for frame in frames {
            if let Err(error) = space.map(at, *frame, PAGE_SIZE, R::attributes(Kind::Data), tables) {
                if let Ok(flush) = space.unmap(first, at - first, tables)
                    && let Some((virt, len)) = flush.range()
                {
                    tables.invalidate(virt, len);
                }
                return Err(told(error));
            }
            at += PAGE_SIZE;
        }
        self.next_guarded.store(at, Ordering::Relaxed);
        Ok(first as *mut u8)
    }
}

impl Default for Own {
    fn default() -> Self {
        Self::new()
    }
}
