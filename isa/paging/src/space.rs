//! The walker: a tree of tables and the operations on it.
use addr::{Hpa, PAGE_SIZE};

use crate::{Entry, Format, LAST, Level, Tables};

/// An address space: a root table and the format of its tree.
///
/// Owns its tables without having the means to free them: end it with [`dissolve`](Self::dissolve).
#[derive(Debug)]
pub struct Space<F> {
    format: F,
    root: Hpa,
}

/// Why a range was not mapped. Nothing of it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Something is mapped at this address already.
    AlreadyMapped(u64),
    /// An address or the length is no multiple of the page size.
    Misaligned,
    /// The range leaves the addresses that the format translates, or translates to.
    OutOfRange,
    /// No memory for tables.
    OutOfTables,
}

/// No memory for tables; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfTables;

/// What a change leaves to be done: the TLBs may remember what was changed, until the caller makes them forget it.
#[must_use = "processors may still use what was unmapped"]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flush {
    range: Option<(u64, u64)>,
}

impl Flush {
    /// Start and length, in bytes, of what is to be invalidated; `None` if nothing that was valid changed.
    #[inline]
    pub const fn range(self) -> Option<(u64, u64)> {
        self.range
    }
}

/// Where an address leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Translation<A> {
    /// The address that it is translated to.
    pub to: Hpa,
    /// What the leaf says.
    pub attributes: A,
    /// The level of the leaf.
    pub level: Level,
}

/// What to do with each leaf of a range.
enum Edit<A> {
    Remove,
    Protect(A),
}

/// A range: from `at` up to, not including, `end`; never empty, never beyond the format's input bits.
#[derive(Clone, Copy)]
struct Range {
    at: u64,
    end: u64,
}

impl Range {
    /// The first part of the range that lies in one entry of `size` bytes.
    #[inline]
    fn head(self, size: u64) -> Self {
        let next = (self.at | (size - 1)) + 1;
        Self { at: self.at, end: self.end.min(next) }
    }

    #[inline]
    fn len(self) -> u64 {
        self.end - self.at
    }
}

impl<F: Format> Space<F> {
    /// An empty space, or `None` when memory is out.
    pub fn new(format: F, tables: &mut impl Tables) -> Option<Self> {
        let root = tables.allocate(format.root_order())?;
        Some(Self { format, root })
    }

    /// The space whose root is `root`: zeroed, or left by a space of the same format.
    pub const fn from_root(format: F, root: Hpa) -> Self {
        Self { format, root }
    }

    /// The root table, for the translation base register.
    pub const fn root(&self) -> Hpa {
        self.root
    }

    /// The format.
    pub const fn format(&self) -> &F {
        &self.format
    }

    #[inline]
    fn size(&self, level: Level) -> u64 {
        1 << self.format.shift(level)
    }

    /// The index of an address in its table of a level. The root may have more entries than other tables.
    #[inline]
    fn index(&self, virt: u64, level: Level) -> usize {
        let index = (virt >> self.format.shift(level)) as usize;
        if level == self.format.first_level() { index } else { index & self.last_index(level) }
    }

    /// The last index of a table that is not the root.
    #[inline]
    fn last_index(&self, level: Level) -> usize {
        (1 << (self.format.shift(level.saturating_sub(1)) - self.format.shift(level))) - 1
    }

    /// The pages that `len` bytes from `virt` on touch, if the format translates them.
    fn range(&self, virt: u64, len: u64) -> Result<Range, MapError> {
        if !(virt | len).is_multiple_of(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        match virt.checked_add(len) {
            Some(end) if end <= 1 << self.format.input_bits() => Ok(Range { at: virt, end }),
            _ => Err(MapError::OutOfRange),
        }
    }

    /// Maps `len` bytes from `virt` on to those from `phys` on, with the largest blocks that fit.
    ///
    /// # Errors
    ///
    /// Changes nothing in the end if the range is not free, not aligned, not translatable, or if memory is out. TLBs have been
    /// invalidated where that meant taking something back.
    pub fn map(
        &self,
        virt: u64,
        phys: Hpa,
        len: u64,
        attributes: F::Attributes,
        tables: &mut impl Tables,
    ) -> Result<(), MapError> {
        let range = self.range(virt, len)?;
        if !phys.is_aligned(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        match phys.get().checked_add(len) {
            Some(end) if end <= 1 << self.format.output_bits() => {}
            _ => return Err(MapError::OutOfRange),
        }
        let filled = self.fill(self.root, self.format.first_level(), range, phys.get(), attributes, tables);
        filled.map_err(|(done, error)| {
            let undo = Range { at: virt, end: done };
            if undo.len() > 0 && self.edit(self.root, self.format.first_level(), undo, &Edit::Remove, tables)
            {
                tables.invalidate(virt, undo.len());
            }
            error
        })
    }

    /// Maps a range within one table; an error comes with the address up to which that was done.
    fn fill(
        &self,
        table: Hpa,
        level: Level,
        mut range: Range,
        mut phys: u64,
        attributes: F::Attributes,
        tables: &mut impl Tables,
    ) -> Result<(), (u64, MapError)> {
        let size = self.size(level);
        while range.at < range.end {
            let part = range.head(size);
            let index = self.index(part.at, level);
            match self.format.decode(tables.read(table, index), level) {
                Entry::Leaf(..) => return Err((part.at, MapError::AlreadyMapped(part.at))),
                Entry::Table(below) => self.fill(below, level + 1, part, phys, attributes, tables)?,
                Entry::Invalid => {
                    let fits = part.len() == size && phys & (size - 1) == 0 && self.format.has_leaves(level);
                    let entry = if fits {
                        self.format.leaf(Hpa::new(phys), attributes, level)
                    } else {
                        let below = tables.allocate(0).ok_or((part.at, MapError::OutOfTables))?;
                        let filled = self.fill(below, level + 1, part, phys, attributes, tables);
                        if let Err((_, error)) = filled {
                            self.free(below, level + 1, tables);
                            return Err((part.at, error));
                        }
                        self.format.table(below)
                    };
                    tables.write(table, index, entry);
                }
            }
            phys += part.len();
            range.at = part.end;
        }
        Ok(())
    }

    /// Unmaps `len` bytes from `virt` on, splitting blocks that reach beyond; what is not mapped stays so. A range that
    /// is not aligned or not translatable is widened to pages and cut.
    ///
    /// # Errors
    ///
    /// When memory for splitting a block is out; then, nothing was unmapped.
    pub fn unmap(&self, virt: u64, len: u64, tables: &mut impl Tables) -> Result<Flush, OutOfTables> {
        self.change(virt, len, &Edit::Remove, tables)
    }

    /// Gives what is mapped of `len` bytes from `virt` on other attributes, splitting blocks that reach beyond. A range
    /// that is not aligned or not translatable is widened to pages and cut.
    ///
    /// # Errors
    ///
    /// When memory for splitting a block is out; then, nothing was changed.
    pub fn protect(
        &self,
        virt: u64,
        len: u64,
        attributes: F::Attributes,
        tables: &mut impl Tables,
    ) -> Result<Flush, OutOfTables> {
        self.change(virt, len, &Edit::Protect(attributes), tables)
    }

    fn change(
        &self,
        virt: u64,
        len: u64,
        edit: &Edit<F::Attributes>,
        tables: &mut impl Tables,
    ) -> Result<Flush, OutOfTables> {
        let limit = 1 << self.format.input_bits();
        let end = virt.saturating_add(len).min(limit).next_multiple_of(PAGE_SIZE);
        let range = Range { at: virt & !(PAGE_SIZE - 1), end };
        if len == 0 || range.at >= range.end {
            return Ok(Flush { range: None });
        }
        // All that can fail comes first.
        self.split(range.at, tables)?;
        self.split(range.end, tables)?;
        let changed = self.edit(self.root, self.format.first_level(), range, edit, tables);
        Ok(Flush { range: changed.then_some((range.at, range.len())) })
    }

    /// Makes `virt` a border between leaves.
    fn split(&self, virt: u64, tables: &mut impl Tables) -> Result<(), OutOfTables> {
        let (mut table, mut level) = (self.root, self.format.first_level());
        while virt & (self.size(level) - 1) != 0 {
            let index = self.index(virt, level);
            match self.format.decode(tables.read(table, index), level) {
                Entry::Invalid => return Ok(()),
                Entry::Table(below) => table = below,
                Entry::Leaf(to, attributes) => {
                    let below = tables.allocate(0).ok_or(OutOfTables)?;
                    for i in 0..=self.last_index(level + 1) {
                        let part = to.offset(i as u64 * self.size(level + 1));
                        tables.write(below, i, self.format.leaf(part, attributes, level + 1));
                    }
                    tables.write(table, index, 0);
                    tables.invalidate(virt & !(self.size(level) - 1), self.size(level));
                    tables.write(table, index, self.format.table(below));
                    table = below;
                }
            }
            level += 1;
        }
        Ok(())
    }

    /// Edits the leaves of a range whose borders are borders of leaves, within one table. Tells whether something that
    /// was valid changed and has not been invalidated.
    fn edit(
        &self,
        table: Hpa,
        level: Level,
        mut range: Range,
        edit: &Edit<F::Attributes>,
        tables: &mut impl Tables,
    ) -> bool {
        let size = self.size(level);
        let mut changed = false;
        while range.at < range.end {
            let part = range.head(size);
            let index = self.index(part.at, level);
            match (self.format.decode(tables.read(table, index), level), edit) {
                (Entry::Invalid, _) => {}
                (Entry::Leaf(..), Edit::Remove) => {
                    tables.write(table, index, 0);
                    changed = true;
                }
                (Entry::Leaf(to, old), Edit::Protect(new)) if old != *new => {
                    if !self.format.may_change_live(old, *new) {
                        tables.write(table, index, 0);
                        tables.invalidate(part.at, size);
                    }
                    tables.write(table, index, self.format.leaf(to, *new, level));
                    changed = true;
                }
                (Entry::Leaf(..), Edit::Protect(_)) => {}
                (Entry::Table(below), Edit::Protect(_)) => {
                    changed |= self.edit(below, level + 1, part, edit, tables);
                }
                (Entry::Table(below), Edit::Remove) => {
                    let whole = part.len() == size;
                    if !whole {
                        changed |= self.edit(below, level + 1, part, edit, tables);
                    }
                    if whole || self.is_empty(below, level + 1, tables) {
                        tables.write(table, index, 0);
                        tables.invalidate(part.at & !(size - 1), size);
                        self.free(below, level + 1, tables);
                    }
                }
            }
            range.at = part.end;
        }
        changed
    }

    /// Whether a table that is not the root maps nothing.
    fn is_empty(&self, table: Hpa, level: Level, tables: &impl Tables) -> bool {
        let mut entries = 0..=self.last_index(level);
        entries.all(|i| matches!(self.format.decode(tables.read(table, i), level), Entry::Invalid))
    }

    /// Frees an unlinked table that is not the root, with the tables below.
    fn free(&self, table: Hpa, level: Level, tables: &mut impl Tables) {
        self.free_below(table, level, self.last_index(level), tables);
        tables.free(table, 0);
    }

    fn free_below(&self, table: Hpa, level: Level, last: usize, tables: &mut impl Tables) {
        if level == LAST {
            return;
        }
        for i in 0..=last {
            if let Entry::Table(below) = self.format.decode(tables.read(table, i), level) {
                self.free(below, level + 1, tables);
            }
        }
    }

    /// Where `virt` leads, or `None` if nothing is mapped there.
    pub fn translate(&self, virt: u64, tables: &impl Tables) -> Option<Translation<F::Attributes>> {
        if virt >> self.format.input_bits() != 0 {
            return None;
        }
        let (mut table, mut level) = (self.root, self.format.first_level());
        loop {
            match self.format.decode(tables.read(table, self.index(virt, level)), level) {
                Entry::Invalid => return None,
                Entry::Table(below) => table = below,
                Entry::Leaf(to, attributes) => {
                    let to = to.offset(virt & (self.size(level) - 1));
                    return Some(Translation { to, attributes, level });
                }
            }
            // A format that finds a table where only pages are would have us leave the tree.
            if level == LAST {
                return None;
            }
            level += 1;
        }
    }

    /// Frees all tables. No processor may use them any more, nor remember them.
    pub fn dissolve(self, tables: &mut impl Tables) {
        let first = self.format.first_level();
        let last = (1usize << (self.format.input_bits() - self.format.shift(first))) - 1;
        self.free_below(self.root, first, last, tables);
        tables.free(self.root, self.format.root_order());
    }
}
