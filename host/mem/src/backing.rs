//! Memory that is lent to guests.

use addr::{Hpa, PAGE_SHIFT, PAGE_SIZE, Span};
use alloc::vec::Vec;
use atomic::Arc;

use crate::error::AddError;
use crate::frames;
use crate::owned::UntypedFrames;

/// Untyped memory in a few large blocks, which regions of guests show: one region, or several (aliases),
/// or regions of several guests (shared memory). It is given back with the last of them.
#[derive(Debug)]
pub struct Backing {
    /// One after the other, the largest first.
    blocks: Vec<Block>,
    length: u64,
}

#[derive(Debug)]
struct Block {
    offset: u64,
    frames: UntypedFrames,
}

/// A part of a backing that is in one piece.
pub(crate) struct Run {
    /// Where it is seen; untyped memory.
    pub(crate) address: *mut u8,
    /// Its frames.
    pub(crate) host: Hpa,
    /// Bytes from there on.
    pub(crate) length: u64,
}

impl Backing {
    /// `length` zeroed bytes, a multiple of the page size, in the largest aligned blocks that are free. It
    /// may take long, but other threads run meanwhile.
    ///
    /// # Errors
    /// [`AddError::Empty`], [`AddError::Misaligned`] or [`AddError::NoMemory`]; nothing is kept then.
    pub fn new(length: u64) -> Result<Arc<Self>, AddError> {
        if length == 0 {
            return Err(AddError::Empty);
        }
        if !length.is_multiple_of(PAGE_SIZE) {
            return Err(AddError::Misaligned);
        }
        // Zeroing memory only to find out that the rest is missing would take long.
        if length >> PAGE_SHIFT > frames::free_frames() {
            return Err(AddError::NoMemory);
        }
        let mut backing = Self { blocks: Vec::new(), length };
        let mut offset = 0;
        // Never larger than the block before: so each one is as aligned in the guest as it is in memory.
        let mut most = u32::MAX;
        while offset < length {
            let wanted = ((length - offset) >> PAGE_SHIFT).ilog2().min(most);
            let free = frames::largest_free_order().ok_or(AddError::NoMemory)?;
            let order = wanted.min(u32::from(free)) as u8;
            backing.blocks.try_reserve(1)?;
            // Somebody may have taken the block meanwhile; then there is a smaller one, or none.
            if let Ok(frames) = UntypedFrames::take(order) {
                let taken = frames.length();
                backing.blocks.push(Block { offset, frames });
                offset += taken;
            } else if order == 0 {
                return Err(AddError::NoMemory);
            }
            most = u32::from(order);
        }
        backing.blocks.shrink_to_fit();
        Ok(Arc::new(backing))
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many blocks of memory it has.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// The part in one piece from `offset` on.
    #[inline]
    pub(crate) fn run(&self, offset: u64) -> Option<Run> {
        let block = match self.blocks.as_slice() {
            [only] => only,
            many => many.get(many.partition_point(|block| block.offset <= offset).checked_sub(1)?)?,
        };
        let inside = offset - block.offset;
        let length = block.frames.length().checked_sub(inside).filter(|length| *length > 0)?;
        Some(Run {
            address: block.frames.address().wrapping_add(inside as usize),
            host: block.frames.base().offset(inside),
            length,
        })
    }

    /// The parts in one piece that `length` bytes from `offset` on are made of, each with its place in them.
    pub(crate) fn spans(&self, offset: u64, length: u64) -> impl Iterator<Item = (u64, Span<Hpa>)> {
        let mut done = 0;
        core::iter::from_fn(move || {
            let run = self.run(offset + done).filter(|_| done < length)?;
            let place = done;
            let span = Span::<Hpa>::new(run.host, run.length.min(length - done))?;
            done += span.length();
            Some((place, span))
        })
    }
}
