//! Guest memory for tests: bytes in a vector.

use alloc::vec;
use alloc::vec::Vec;

use addr::{Gpa, Span};
use arch::Width;
use atomic::{AtomicU8, Ordering};

use crate::{GuestMemory, OutOfBounds};

/// So many bytes from an address on, all zero at first.
pub struct Memory {
    span: Span<Gpa>,
    bytes: Vec<AtomicU8>,
}

impl Memory {
    /// `length` bytes from `base` on; nothing when they would pass the end of the address space.
    pub fn new(base: Gpa, length: usize) -> Self {
        let span = Span::<Gpa>::new(base, length as u64);
        let length = if span.is_some() { length } else { 0 };
        let mut bytes = vec![];
        bytes.resize_with(length, AtomicU8::default);
        Self { span: span.or(Span::<Gpa>::new(base, 0)).unwrap_or(EMPTY), bytes }
    }

    fn cells(&self, at: Gpa, length: usize) -> Result<&[AtomicU8], OutOfBounds> {
        let error = OutOfBounds { at, length: length as u64 };
        if !self.span.contains_all(at, length as u64) {
            return Err(error);
        }
        let start = at.since(self.span.base()).and_then(|start| usize::try_from(start).ok()).ok_or(error)?;
        self.bytes.get(start..).and_then(|rest| rest.get(..length)).ok_or(error)
    }
}

const EMPTY: Span<Gpa> = match Span::<Gpa>::new(Gpa::new(0), 0) {
    Some(span) => span,
    None => unreachable!(),
};

impl GuestMemory for Memory {
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let cells = self.cells(at, into.len())?;
        for (byte, cell) in into.iter_mut().zip(cells) {
            *byte = cell.load(Ordering::Relaxed);
        }
        Ok(())
    }
    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), OutOfBounds> {
        for (byte, cell) in from.iter().zip(self.cells(at, from.len())?) {
            cell.store(*byte, Ordering::Relaxed);
        }
        Ok(())
    }
    fn load(&self, at: Gpa, width: Width) -> Result<u64, OutOfBounds> {
        if !at.is_aligned(width.bytes()) {
            return Err(OutOfBounds { at, length: width.bytes() });
        }
        let mut bytes = [0; 8];
        let (part, _) = bytes.split_at_mut(usize::try_from(width.bytes()).unwrap_or(0));
        self.read(at, part)?;
        Ok(u64::from_le_bytes(bytes))
    }
    fn store(&self, at: Gpa, width: Width, value: u64) -> Result<(), OutOfBounds> {
        if !at.is_aligned(width.bytes()) {
            return Err(OutOfBounds { at, length: width.bytes() });
        }
        let bytes = value.to_le_bytes();
        self.write(at, bytes.split_at(usize::try_from(width.bytes()).unwrap_or(0)).0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_read_and_nothing_beyond_the_end() {
        let memory = Memory::new(Gpa::new(0x1000), 0x20);
        memory.store(Gpa::new(0x1018), Width::B8, 0x0102_0304_0506_0708).unwrap();
        assert_eq!(memory.load(Gpa::new(0x101c), Width::B2), Ok(0x0304));
        assert!(memory.load(Gpa::new(0x101d), Width::B2).is_err());
        assert!(memory.load(Gpa::new(0x1020), Width::B1).is_err());
        assert!(memory.write(Gpa::new(0x101f), &[1, 2]).is_err());
        memory.fill(Gpa::new(0x1000), 0x20, 7).unwrap();
        assert_eq!(memory.load(Gpa::new(0x1010), Width::B4), Ok(0x0707_0707));
        assert!(memory.fill(Gpa::new(0xfff), 0x2, 7).is_err());
    }
}
