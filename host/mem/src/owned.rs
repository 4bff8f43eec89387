//! Frames as owned values.
#![expect(unsafe_code, reason = "frames are memory that only their owner reaches")]

use addr::{Hpa, PAGE_SIZE};
use arch::{Cache, HostPaging, Machine, Untyped};

use crate::error::NoMemory;
use crate::frames;

/// Zeroes frames that were just taken from the allocator.
pub(crate) fn zero(base: Hpa, length: u64) {
    // SAFETY: whoever calls owns the frames and has lent them to nobody yet; all RAM is mapped.
    unsafe { Machine::zero(Machine::address_of(base), length as usize) }
}

/// 2^order frames of ours, aligned to their size: memory that nobody else reaches.
#[derive(Debug)]
pub struct Frames {
    base: Hpa,
    order: u8,
}

impl Frames {
    /// Takes 2^`order` frames and zeroes them.
    pub fn take(order: u8) -> Result<Self, NoMemory> {
        let base = frames::take(order)?;
        zero(base, PAGE_SIZE << order);
        Ok(Self { base, order })
    }

    /// Where they are.
    pub fn base(&self) -> Hpa {
        self.base
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        (PAGE_SIZE as usize) << self.order
    }

    /// What is in them.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the frames are initialized RAM of this owner, mapped, and borrowed as `self` is.
        unsafe { core::slice::from_raw_parts(Machine::address_of(self.base), self.length()) }
    }

    /// What is in them, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; exclusively, as `self` is.
        unsafe { core::slice::from_raw_parts_mut(Machine::address_of(self.base), self.length()) }
    }
}

impl Drop for Frames {
    fn drop(&mut self) {
        frames::give(self.base, self.order);
    }
}

/// 2^order frames for a guest or a device, aligned to their size. They can be lent to those who write
/// them at any time, therefore no reference to what is in them ever exists.
#[derive(Debug)]
pub struct UntypedFrames {
    base: Hpa,
    order: u8,
}

/// How many bytes are zeroed at once.
const PIECE: u64 = 2 << 20;

impl UntypedFrames {
    /// Takes 2^`order` frames and zeroes them, in memory and not only in the caches: a guest begins with
    /// its caches off. Between pieces of 2 MiB another thread may run.
    pub fn take(order: u8) -> Result<Self, NoMemory> {
        let taken = Self { base: frames::take(order)?, order };
        let mut offset = 0;
        while offset < taken.length() {
            let length = PIECE.min(taken.length() - offset);
            let base = taken.base.offset(offset);
            zero(base, length);
            Machine::make_visible_to_device(Machine::address_of(base), length as usize);
            offset += length;
        }
        Ok(taken)
    }

    /// Where they are.
    pub fn base(&self) -> Hpa {
        self.base
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        PAGE_SIZE << self.order
    }

    /// Where they are seen; only for the copies of [`arch::Untyped`].
    pub(crate) fn address(&self) -> *mut u8 {
        Machine::address_of(self.base)
    }
}

impl Drop for UntypedFrames {
    fn drop(&mut self) {
        frames::give(self.base, self.order);
    }
}
