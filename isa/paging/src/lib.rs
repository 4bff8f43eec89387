//! One walker for radix page tables, generic over the [`Format`] of their entries.
//!
//! The walker knows trees; a format knows bits; [`Tables`] knows memory and TLBs. So the first two are pure and tested
//! on the development machine, and the third is a few lines of the architecture.
//!
//! What the walker promises:
//!
//! * A processor that walks the tables at any moment sees every page either as it was or as it is to be, or, where the
//!   architecture demands break-before-make, for a moment not at all. A new table is filled before it is linked.
//! * A table is freed only after it was unlinked and [`Tables::invalidate`] was called for what it spanned.
//! * An operation that fails has changed nothing that a translation could tell.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use core::fmt::Debug;

use addr::Hpa;

mod rv;
mod space;
mod vmsa;

pub use rv::{RvAttributes, RvFormat, RvMemory, RvMode};
pub use space::{Flush, MapError, OutOfTables, Space, Translation};
pub use vmsa::{
    Execute, Permission, Shareability, Stage1Attributes, Stage2Attributes, Stage2Memory, VmsaStage1El2,
    VmsaStage2, pa_range_bits,
};

/// A level of a tree. Numbered as the Arm manual does: the last, which maps pages, is [`LAST`]; a tree of fewer levels
/// begins with a higher number, one of five with -1.
pub type Level = i8;

/// The level that maps pages.
pub const LAST: Level = 3;

/// What an entry of a table says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry<A> {
    /// Nothing is mapped.
    Invalid,
    /// A table of the next level.
    Table(Hpa),
    /// A page, or at a lower level a block.
    Leaf(Hpa, A),
}

/// How the entries of a kind of page table are written, and how the tree is cut.
///
/// Zero must be an invalid entry. Tables other than the root are one page.
pub trait Format {
    /// What a leaf says besides its address.
    type Attributes: Copy + PartialEq + Debug;

    /// The root's level.
    fn first_level(&self) -> Level;

    /// Addresses that are translated are below 2 to this, at most 63.
    fn input_bits(&self) -> u32;

    /// Addresses that are translated to are below 2 to this, at most 63.
    fn output_bits(&self) -> u32;

    /// log2 of the bytes that an entry of this level spans.
    #[inline]
    fn shift(&self, level: Level) -> u32 {
        12 + 9 * LAST.saturating_sub(level).max(0) as u32
    }

    /// Whether an entry of this level can be a leaf.
    fn has_leaves(&self, level: Level) -> bool;

    /// Reads an entry.
    fn decode(&self, entry: u64, level: Level) -> Entry<Self::Attributes>;

    /// The entry that refers to a table.
    fn table(&self, table: Hpa) -> u64;

    /// The entry that maps a page or block; `to` is a multiple of the level's size.
    fn leaf(&self, to: Hpa, attributes: Self::Attributes, level: Level) -> u64;

    /// Whether a valid leaf may change from one to the other in place, without break-before-make.
    fn may_change_live(&self, from: Self::Attributes, to: Self::Attributes) -> bool;

    /// log2 of the pages of the root: more than one where the format concatenates tables there.
    fn root_order(&self) -> u8 {
        let entries = self.input_bits().saturating_sub(self.shift(self.first_level()));
        entries.saturating_sub(9) as u8
    }
}

/// The memory that tables live in, and the TLBs that remember them.
pub trait Tables {
    /// Reads an entry of a table.
    fn read(&self, table: Hpa, index: usize) -> u64;

    /// Writes an entry with one 64-bit store, which is not seen before earlier ones (release).
    fn write(&mut self, table: Hpa, index: usize, entry: u64);

    /// 2 to the `order` zeroed pages, aligned to their size; `None` when memory is out.
    fn allocate(&mut self, order: u8) -> Option<Hpa>;

    /// Takes pages back that no table refers to and no processor remembers.
    fn free(&mut self, table: Hpa, order: u8);

    /// Makes every processor forget what it remembers, tables included, of `len` bytes from `virt` on, and waits until
    /// it has. Nothing to do for trees that no processor walks yet.
    fn invalidate(&mut self, virt: u64, len: u64);
}

#[cfg(test)]
mod tests;
