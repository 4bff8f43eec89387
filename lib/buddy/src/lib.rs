//! Which frames of a region are free, in blocks of powers of two.
//!
//! A [`Buddy`] deals in indices of frames, and never touches a frame: it keeps its books in a slice of
//! bytes which the caller sets apart (half a byte per frame and a little). In those bytes, zero means
//! "no such block": of fresh zeroed memory nothing has to be written, and making a region free writes one
//! bit for each of its largest aligned blocks. So the cost at power-on does not depend on the size of RAM.
//!
//! For every order there are two bitmaps: the free blocks, and the blocks that are allocated. The
//! second makes `free` able to refuse what was never allocated, was freed already, or had another order.
//! Each bitmap has summaries above it, one bit per word below, so that every search is a few steps.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod bits;
#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::Range;

use bits::Bits;

/// The order of the largest block: 2^18 frames, 1 GiB of 4 KiB each.
pub const MAX_ORDER: usize = 18;

const ORDERS: usize = MAX_ORDER + 1;

/// The books over `0..total` frames.
pub struct Buddy<'a> {
    meta: &'a mut [u8],
    frames: usize,
    free_frames: usize,
    /// Per order, how many blocks are free: says which orders need not be searched.
    free_blocks: [usize; ORDERS],
    free: [Bits; ORDERS],
    allocated: [Bits; ORDERS],
}

/// Why a block can't be given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadFree {
    /// The block reaches beyond the region, is not aligned to its size, or the order is too large.
    Misplaced,
    /// No allocated block begins there: it was freed already, or never allocated.
    NotAllocated,
    /// A block of this other order is allocated there.
    WrongOrder(usize),
}

/// Some of the frames are not as the call needs them: not all free, or not all unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

impl fmt::Display for BadFree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadFree::Misplaced => f.write_str("no block can lie there"),
            BadFree::NotAllocated => f.write_str("not allocated"),
            BadFree::WrongOrder(order) => write!(f, "allocated with order {order}"),
        }
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("frames are not available")
    }
}

impl core::error::Error for BadFree {}
impl core::error::Error for Unavailable {}

impl<'a> Buddy<'a> {
    /// How many bytes of books `frames` frames need.
    pub const fn metadata_bytes(frames: usize) -> usize {
        Self::layout(frames).2 * 8
    }

    /// Where the bitmaps lie: for each order the free and the allocated blocks, and the words of all.
    const fn layout(frames: usize) -> ([Bits; ORDERS], [Bits; ORDERS], usize) {
        let mut free = [Bits::EMPTY; ORDERS];
        let mut allocated = [Bits::EMPTY; ORDERS];
        let mut words = 0;
        let mut order = 0;
        while order < ORDERS {
            free[order] = Bits::new(words, frames >> order);
            words += free[order].words();
            allocated[order] = Bits::new(words, frames >> order);
            words += allocated[order].words();
            order += 1;
        }
        (free, allocated, words)
    }

    /// Books over `frames` frames, none of them free yet: [`Buddy::insert`] makes them so.
    ///
    /// `meta` has to be zeroed. If it has less than [`Buddy::metadata_bytes`], the books are over no
    /// frames at all.
    pub fn new(meta: &'a mut [u8], frames: usize) -> Self {
        let frames = if meta.len() < Self::metadata_bytes(frames) { 0 } else { frames };
        let (free, allocated, _) = Self::layout(frames);
        Buddy { meta, frames, free_frames: 0, free_blocks: [0; ORDERS], free, allocated }
    }

    /// Makes frames free which were neither free nor allocated until now.
    ///
    /// # Errors
    /// Some of them were, or lie beyond the region; then nothing has changed.
    pub fn insert(&mut self, range: Range<usize>) -> Result<(), Unavailable> {
        if range.end > self.frames || range.clone().any_block(|index, order| self.is_known(index, order)) {
            return Err(Unavailable);
        }
        range.any_block(|index, order| {
            self.merge(index, order);
            false
        });
        Ok(())
    }

    /// Takes a free block of 2^`order` frames: the lowest of the smallest that will do. Its index is a
    /// multiple of its size.
    pub fn allocate(&mut self, order: usize) -> Option<usize> {
        let found = (order..ORDERS).find(|&order| self.free_blocks[order] > 0)?;
        let index = self.free[found].first(self.meta)? << found;
        self.remove_free(index, found);
        // What is not needed of it: the upper half, the upper half of the lower half, …
        for half in order..found {
            self.put_free(index + (1 << half), half);
        }
        self.allocated[order].set(self.meta, index >> order);
        Some(index)
    }

    /// Takes these very frames. They can be given back with [`Buddy::free_range`].
    ///
    /// # Errors
    /// Not all of them are free; then nothing has changed.
    pub fn allocate_range(&mut self, range: Range<usize>) -> Result<(), Unavailable> {
        let mut at = range.start;
        while at < range.end {
            let (index, order) = self.free_block_around(at).ok_or(Unavailable)?;
            at = index + (1 << order);
        }
        let mut at = range.start;
        while at < range.end {
            let Some((index, order)) = self.free_block_around(at) else { break };
            self.remove_free(index, order);
            let end = index + (1 << order);
            // What of this block is outside. Nothing can merge: the inside separates it from its buddies.
            (index..range.start).any_block(|index, order| {
                self.put_free(index, order);
                false
            });
            (range.end..end).any_block(|index, order| {
                self.put_free(index, order);
                false
            });
            at = end;
        }
        range.any_block(|index, order| {
            self.allocated[order].set(self.meta, index >> order);
            false
        });
        Ok(())
    }

    /// Gives back a block that [`Buddy::allocate`] gave.
    ///
    /// # Errors
    /// There is no such allocated block; then nothing has changed.
    pub fn free(&mut self, index: usize, order: usize) -> Result<(), BadFree> {
        if order > MAX_ORDER || index & ((1 << order) - 1) != 0 || index >> order >= self.frames >> order {
            return Err(BadFree::Misplaced);
        }
        if !self.allocated[order].get(self.meta, index >> order) {
            let other = (0..ORDERS).find(|&other| self.is_allocated(index, other));
            return Err(other.map_or(BadFree::NotAllocated, BadFree::WrongOrder));
        }
        self.allocated[order].clear(self.meta, index >> order);
        self.merge(index, order);
        Ok(())
    }

    /// Gives back what [`Buddy::allocate_range`] took, the same range.
    ///
    /// # Errors
    /// It was not taken so; then nothing has changed.
    pub fn free_range(&mut self, range: Range<usize>) -> Result<(), BadFree> {
        if range.end > self.frames {
            return Err(BadFree::Misplaced);
        }
        if range.clone().any_block(|index, order| !self.is_allocated(index, order)) {
            return Err(BadFree::NotAllocated);
        }
        range.any_block(|index, order| {
            self.allocated[order].clear(self.meta, index >> order);
            self.merge(index, order);
            false
        });
        Ok(())
    }

    /// How many frames are free.
    pub fn free_frames(&self) -> usize {
        self.free_frames
    }

    /// How many frames the books are over, of all kinds.
    pub fn total_frames(&self) -> usize {
        self.frames
    }

    /// The order of the largest free block.
    pub fn largest_free_order(&self) -> Option<usize> {
        (0..ORDERS).rev().find(|&order| self.free_blocks[order] > 0)
    }

    /// How many free blocks there are of this order.
    pub fn free_blocks(&self, order: usize) -> usize {
        self.free_blocks.get(order).copied().unwrap_or(0)
    }

    fn is_allocated(&self, index: usize, order: usize) -> bool {
        index & ((1 << order) - 1) == 0 && self.allocated[order].get(self.meta, index >> order)
    }

    /// Whether a frame of this block is in a free or an allocated block.
    fn is_known(&self, index: usize, order: usize) -> bool {
        let end = index + (1 << order);
        (0..ORDERS).any(|other| {
            // The blocks of the other order that begin in this one, or the one that contains it.
            let blocks = index >> other..((end - 1) >> other) + 1;
            self.free[other].any(self.meta, blocks.clone()) || self.allocated[other].any(self.meta, blocks)
        })
    }

    fn free_block_around(&self, frame: usize) -> Option<(usize, usize)> {
        let order = (0..ORDERS).find(|&order| self.free[order].get(self.meta, frame >> order))?;
        Some((frame >> order << order, order))
    }

    /// Makes a block free, and as large as its free buddies allow.
    fn merge(&mut self, mut index: usize, mut order: usize) {
        self.free_frames += 1 << order;
        while order < MAX_ORDER {
            let buddy = index ^ (1 << order);
            if !self.free[order].get(self.meta, buddy >> order) {
                break;
            }
            self.free[order].clear(self.meta, buddy >> order);
            self.free_blocks[order] -= 1;
            index &= buddy;
            order += 1;
        }
        self.free[order].set(self.meta, index >> order);
        self.free_blocks[order] += 1;
    }

    fn put_free(&mut self, index: usize, order: usize) {
        self.free[order].set(self.meta, index >> order);
        self.free_blocks[order] += 1;
        self.free_frames += 1 << order;
    }

    fn remove_free(&mut self, index: usize, order: usize) {
        self.free[order].clear(self.meta, index >> order);
        self.free_blocks[order] -= 1;
        self.free_frames -= 1 << order;
    }
}

impl fmt::Debug for Buddy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} frames are free, per order {:?}", self.free_frames, self.frames, self.free_blocks)
    }
}

/// The largest aligned blocks that a range is made of, from first to last: always the same ones.
trait Blocks {
    /// Calls `f(index, order)` for each, until it says true; whether it did.
    fn any_block(self, f: impl FnMut(usize, usize) -> bool) -> bool;
}

impl Blocks for Range<usize> {
    fn any_block(self, mut f: impl FnMut(usize, usize) -> bool) -> bool {
        let mut at = self.start;
        while at < self.end {
            let fits = (self.end - at).ilog2();
            let order = at.trailing_zeros().min(fits).min(MAX_ORDER as u32) as usize;
            if f(at, order) {
                return true;
            }
            at += 1 << order;
        }
        false
    }
}
