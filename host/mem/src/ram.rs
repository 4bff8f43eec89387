//! A guest's memory: what it sees, and the way to touch it.
#![expect(unsafe_code, reason = "memory is lent to a guest, and touched while the guest may write it")]

use core::mem::ManuallyDrop;

use addr::{Gpa, Hpa, PAGE_SIZE, Span};
use alloc::boxed::Box;
use alloc::vec::Vec;
use arch::{Cache, GuestSpace, Machine, MapError, Rights, Space, Untyped, Width};
use atomic::Arc;
use host_sync::{Spin, Swap};

use crate::backing::{Backing, Run};
use crate::claim::Claim;
use crate::error::{AddError, OutOfBounds};
use crate::table::{Access, Content, Region, Table};

/// How many bytes are copied while preemption is off.
const PIECE: u64 = 64 << 10;
const ZEROES: [u8; 256] = [0; 256];

/// A guest's memory: regions, the frames behind them, and their mappings in the guest's space. It is the
/// only one who maps anything there.
///
/// It is reached by copies that are checked once and then done wholly or not at all, and by loads and
/// stores of whole values. There is no reference to it: the guest changes it at any time. *Read once,
/// then check, then use.* An access allocates nothing, waits for nobody, and may come from any context
/// but an interrupt's.
///
/// After [`GuestRam::revoke`] every access is [`OutOfBounds`], whoever still holds a handle.
pub struct GuestRam {
    space: Arc<Space>,
    /// The regions; none after `revoke`.
    table: Swap<Table>,
    /// Held while regions are changed, so that they are in the table and in the space alike.
    changes: Spin<()>,
}

impl GuestRam {
    /// Memory without any regions yet. `space` is empty, and nobody else maps anything in it.
    pub fn new(space: Arc<Space>) -> Self {
        let table = Swap::new();
        // It cannot be full yet.
        let _ = table.fill(Box::new(Table::default()));
        Self { space, table, changes: Spin::new(()) }
    }

    /// The guest's map, to enter the guest with.
    pub fn space(&self) -> &Arc<Space> {
        &self.space
    }

    /// Gives the guest `length` bytes of zeroed memory at `at`. It may take long, but other threads run
    /// meanwhile.
    ///
    /// # Errors
    /// As [`AddError`] says; nothing is left behind.
    pub fn add(&self, at: Gpa, length: u64, rights: Rights) -> Result<(), AddError> {
        // What can be refused is refused before memory is zeroed for it.
        let span = self.span(at, length)?;
        self.table.read(|table| table.ok_or(AddError::Revoked)?.check_free(span))?;
        self.show(at, &Backing::new(length)?, 0, length, rights)
    }

    /// Shows the guest `length` bytes of `backing` from `offset` on, at `at`: an alias of other memory of
    /// its own, or memory that another guest sees too.
    ///
    /// # Errors
    /// As [`AddError`] says; nothing is left behind.
    pub fn show(
        &self,
        at: Gpa,
        backing: &Arc<Backing>,
        offset: u64,
        length: u64,
        rights: Rights,
    ) -> Result<(), AddError> {
        let span = self.span(at, length)?;
        if !offset.is_multiple_of(PAGE_SIZE) {
            return Err(AddError::Misaligned);
        }
        if offset.checked_add(length).is_none_or(|end| end > backing.length()) {
            return Err(AddError::OutOfRange);
        }
        self.put(Region { span, rights, content: Content::Memory(backing.clone(), offset) })
    }

    /// Gives the guest registers of the host, whole pages of them, at `at`.
    ///
    /// # Errors
    /// As [`AddError`] says; nothing is left behind.
    pub fn pass(&self, at: Gpa, registers: &Arc<Claim>) -> Result<(), AddError> {
        let host = registers.span();
        let span = self.span(at, host.length())?;
        if !host.base().is_aligned(PAGE_SIZE) {
            return Err(AddError::Misaligned);
        }
        self.put(Region { span, rights: Rights::Registers, content: Content::Registers(registers.clone()) })
    }

    /// Takes the region that begins at `at` away from the guest.
    ///
    /// # Errors
    /// There is none, or the memory was revoked.
    pub fn remove(&self, at: Gpa) -> Result<(), AddError> {
        let changing = self.changes.lock();
        let (table, region) = self.table.read(|table| match table {
            Some(table) => table.without(at).ok_or(AddError::NoRegion),
            None => Err(AddError::Revoked),
        })?;
        let old = self.table.swap(Some(Box::new(table)));
        self.unmap(&region);
        drop(changing);
        // The memory goes only now, unless somebody else shows it.
        drop((old, region));
        Ok(())
    }

    /// Ends all access, takes everything away from the guest and gives its memory back. Doing it again
    /// does nothing.
    pub fn revoke(&self) {
        let changing = self.changes.lock();
        let table = self.table.swap(None);
        for region in table.iter().flat_map(|table| &table.regions) {
            self.unmap(region);
        }
        drop(changing);
        drop(table);
    }

    /// The regions, by address; none after [`GuestRam::revoke`]. Who keeps one keeps its memory.
    pub fn regions(&self) -> Vec<Region> {
        self.table.read(|table| table.map(|table| table.regions.clone())).unwrap_or_default()
    }

    /// The memory that is seen at `at`, and the offset in it.
    pub fn backing(&self, at: Gpa) -> Option<(Arc<Backing>, u64)> {
        self.table.read(|table| {
            let region = table?.find(at)?;
            let (backing, offset) = region.backing()?;
            Some((backing.clone(), offset + at.since(region.span.base())?))
        })
    }

    /// Whether all of `length` bytes at `at` are memory of the guest.
    pub fn contains(&self, at: Gpa, length: u64) -> bool {
        self.check(at, length, Access::Read).is_ok()
    }

    /// Copies `to.len()` bytes out of the guest's memory, or none.
    pub fn read(&self, at: Gpa, to: &mut [u8]) -> Result<(), OutOfBounds> {
        self.pieces(at, to.len() as u64, Access::Read, |run, done, length| {
            if let Some(part) = to.get_mut(done..done + length) {
                // SAFETY: `pieces` calls with mapped untyped memory of `length` bytes that stays meanwhile.
                unsafe { Machine::copy_out(run.address, part) }
            }
        })
    }

    /// Copies `from` into the guest's memory, all or nothing; not into what the guest can only read.
    pub fn write(&self, at: Gpa, from: &[u8]) -> Result<(), OutOfBounds> {
        self.copy_in(at, from, Access::Write)
    }

    /// Copies `from` into the guest's memory, all or nothing, also into what the guest can only read; for
    /// loaders.
    pub fn install(&self, at: Gpa, from: &[u8]) -> Result<(), OutOfBounds> {
        self.copy_in(at, from, Access::Load)
    }

    /// Zeroes `length` bytes, all or nothing, also of what the guest can only read; for loaders.
    pub fn clear(&self, at: Gpa, length: u64) -> Result<(), OutOfBounds> {
        self.pieces(at, length, Access::Load, |run, _, length| {
            let mut done = 0;
            while done < length {
                let part = ZEROES.get(..length - done).unwrap_or(&ZEROES);
                // SAFETY: as in `read`; the sum stays within the piece.
                unsafe { Machine::copy_in(run.address.wrapping_add(done), part) };
                done += part.len();
            }
        })
    }

    /// Sees to it that a guest with its caches off finds what was written.
    pub fn clean(&self, at: Gpa, length: u64) -> Result<(), OutOfBounds> {
        self.pieces(at, length, Access::Read, |run, _, length| {
            Machine::make_visible_to_device(run.address, length);
        })
    }

    /// Loads a naturally aligned value, whole, with acquire ordering.
    #[inline]
    pub fn load(&self, at: Gpa, width: Width) -> Result<u64, OutOfBounds> {
        self.value(at, width, Access::Read, |run| {
            // SAFETY: `value` calls with mapped untyped memory, aligned to the width.
            unsafe { Machine::load(run.address, width) }
        })
    }

    /// Stores a naturally aligned value, whole, with release ordering; not into what the guest can only
    /// read.
    #[inline]
    pub fn store(&self, at: Gpa, width: Width, value: u64) -> Result<(), OutOfBounds> {
        self.value(at, width, Access::Write, |run| {
            // SAFETY: `value` calls with mapped untyped memory, aligned to the width.
            unsafe { Machine::store(run.address, width, value) }
        })
    }

    fn copy_in(&self, at: Gpa, from: &[u8], access: Access) -> Result<(), OutOfBounds> {
        self.pieces(at, from.len() as u64, access, |run, done, length| {
            if let Some(part) = from.get(done..done + length) {
                // SAFETY: as in `read`.
                unsafe { Machine::copy_in(run.address, part) }
            }
        })
    }

    fn check(&self, at: Gpa, length: u64, access: Access) -> Result<(), OutOfBounds> {
        self.table.read(|table| table.ok_or(OutOfBounds)?.check(at, length, access))
    }

    /// Calls `with` for one value's memory, which stays as long as that runs. Aligned, it lies in one page.
    #[inline]
    fn value<R>(
        &self,
        at: Gpa,
        width: Width,
        access: Access,
        with: impl FnOnce(Run) -> R,
    ) -> Result<R, OutOfBounds> {
        if !at.is_aligned(width.bytes()) {
            return Err(OutOfBounds);
        }
        self.table.read(|table| table.ok_or(OutOfBounds)?.run(at, access).map(with))
    }

    /// Calls `with` for the pieces of a range (where it is, how many bytes came before, how many it has)
    /// one after the other, if all of it can be reached so. A piece stays as long as `with` runs.
    fn pieces(
        &self,
        at: Gpa,
        length: u64,
        access: Access,
        mut with: impl FnMut(Run, usize, usize),
    ) -> Result<(), OutOfBounds> {
        if length == 0 {
            return Ok(());
        }
        let mut done = 0;
        let mut checked = false;
        while done < length {
            let here = at.checked_add(done).ok_or(OutOfBounds)?;
            // Each piece by itself, so that others can run between them. If the memory is revoked
            // meanwhile, what is copied is of no use to anybody.
            done += self.table.read(|table| {
                let table = table.ok_or(OutOfBounds)?;
                let run = table.run(here, access)?;
                let piece = run.length.min(length - done).min(PIECE);
                if !checked && piece < length {
                    table.check(at, length, access)?;
                }
                with(run, done as usize, piece as usize);
                Ok(piece)
            })?;
            checked = true;
        }
        Ok(())
    }

    fn span(&self, at: Gpa, length: u64) -> Result<Span<Gpa>, AddError> {
        if length == 0 {
            return Err(AddError::Empty);
        }
        if !at.is_aligned(PAGE_SIZE) || !length.is_multiple_of(PAGE_SIZE) {
            return Err(AddError::Misaligned);
        }
        let span = Span::<Gpa>::new(at, length).ok_or(AddError::OutOfRange)?;
        let bits = self.space.address_bits();
        if bits < 64 && span.last().get() >> bits != 0 { Err(AddError::OutOfRange) } else { Ok(span) }
    }

    /// Maps a region and publishes it.
    fn put(&self, region: Region) -> Result<(), AddError> {
        let changing = self.changes.lock();
        let table = self
            .table
            .read(|table| table.ok_or(AddError::Revoked).and_then(|table| table.with(region.clone())))?;
        self.map(&region)?;
        let old = self.table.swap(Some(Box::new(table)));
        drop(changing);
        drop(old);
        Ok(())
    }

    fn map(&self, region: &Region) -> Result<(), AddError> {
        match &region.content {
            Content::Registers(claim) => self.map_one(region.span.base(), claim.span(), region.rights)?,
            Content::Memory(backing, offset) => {
                for (place, host) in backing.spans(*offset, region.span.length()) {
                    if let Err(why) = self.map_one(region.span.base().offset(place), host, region.rights) {
                        self.take_back(Span::<Gpa>::new(region.span.base(), place), region);
                        return Err(why.into());
                    }
                }
            }
        }
        Ok(())
    }

    fn map_one(&self, at: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError> {
        // SAFETY: the memory is untyped and belongs to a backing, or the registers to a claim, which the
        // region's place in the table keeps; it leaves the table for good only after `unmap`.
        unsafe { self.space.map(at, host, rights) }
    }

    fn unmap(&self, region: &Region) {
        self.take_back(Some(region.span), region);
    }

    /// Unmaps a part of a region. What cannot be unmapped must never be used again.
    fn take_back(&self, part: Option<Span<Gpa>>, region: &Region) {
        let Some(part) = part.filter(|part| part.length() > 0) else { return };
        if let Err(why) = self.space.unmap(part) {
            host_log::error!("guest memory {part} cannot be unmapped ({why}); it is lost");
            let _lost = ManuallyDrop::new(region.content.clone());
        }
    }
}

impl Drop for GuestRam {
    fn drop(&mut self) {
        self.revoke();
    }
}

impl core::fmt::Debug for GuestRam {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("GuestRam").field("regions", &self.regions()).finish()
    }
}

#[cfg(test)]
mod tests;
