//! A guest's memory, as devices and loaders see it: copies with bounds checked, never a reference.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

use core::fmt;

use addr::Gpa;
use arch::Width;

pub mod fake;

/// An access that does not lie in the guest's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfBounds {
    /// Where it began.
    pub at: Gpa,
    /// How many bytes it covers.
    pub length: u64,
}

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} bytes at {:#x} are not all memory of the guest", self.length, self.at.get())
    }
}

/// A guest's memory. What is read may change at any time: read once, check, use.
pub trait GuestMemory: Send + Sync {
    /// Copies `into.len()` bytes out. On an error some may have been copied.
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), OutOfBounds>;
    /// Copies `from` in. On an error some may have been copied.
    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), OutOfBounds>;
    /// Loads a value whole, with acquire ordering; `at` must be a multiple of the width.
    fn load(&self, at: Gpa, width: Width) -> Result<u64, OutOfBounds>;
    /// Stores a value whole, with release ordering; `at` must be a multiple of the width.
    fn store(&self, at: Gpa, width: Width, value: u64) -> Result<(), OutOfBounds>;

    /// Sets `length` bytes to `byte`.
    fn fill(&self, at: Gpa, length: u64, byte: u8) -> Result<(), OutOfBounds> {
        let block = [byte; 256];
        let mut done = 0;
        while done < length {
            let part = usize::try_from(length - done).unwrap_or(block.len()).min(block.len());
            let to = at.checked_add(done).ok_or(OutOfBounds { at, length })?;
            self.write(to, block.get(..part).unwrap_or(&block))?;
            done += part as u64;
        }
        Ok(())
    }
}

impl GuestMemory for host_mem::GuestRam {
    fn read(&self, at: Gpa, into: &mut [u8]) -> Result<(), OutOfBounds> {
        let length = into.len() as u64;
        host_mem::GuestRam::read(self, at, into).map_err(|_| OutOfBounds { at, length })
    }
    fn write(&self, at: Gpa, from: &[u8]) -> Result<(), OutOfBounds> {
        let length = from.len() as u64;
        host_mem::GuestRam::write(self, at, from).map_err(|_| OutOfBounds { at, length })
    }
    fn load(&self, at: Gpa, width: Width) -> Result<u64, OutOfBounds> {
        host_mem::GuestRam::load(self, at, width).map_err(|_| OutOfBounds { at, length: width.bytes() })
    }
    fn store(&self, at: Gpa, width: Width, value: u64) -> Result<(), OutOfBounds> {
        host_mem::GuestRam::store(self, at, width, value)
            .map_err(|_| OutOfBounds { at, length: width.bytes() })
    }
}
