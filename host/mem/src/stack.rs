//! Stacks of threads.
#![expect(unsafe_code, reason = "a stack is mapped a second time, above a page that is not mapped")]

use addr::{Hpa, PAGE_SIZE};
use arch::{HostPaging, Machine};

use crate::error::NoMemory;
use crate::frames;

/// The most pages that a stack has.
const MOST: usize = 64;

/// A thread's stack: memory with an unmapped page below, so that running over its end faults. It is not
/// zeroed.
#[derive(Debug)]
pub struct Stack {
    bottom: *mut u8,
    frames: Hpa,
    pages: usize,
}

// SAFETY: it owns its memory, which belongs to no thread in particular.
unsafe impl Send for Stack {}
// SAFETY: through a shared reference only its addresses can be had.
unsafe impl Sync for Stack {}

impl Stack {
    /// A stack of at least `bytes` bytes, at least one page and at most 256 KiB.
    pub fn new(bytes: usize) -> Result<Self, NoMemory> {
        let pages = bytes.div_ceil(PAGE_SIZE as usize).max(1);
        let mut list = [Hpa::new(0); MOST];
        let list = list.get_mut(..pages).ok_or(NoMemory)?;
        let frames = frames::take_pages(pages)?;
        for (page, frame) in (0..).zip(list.iter_mut()) {
            *frame = frames.offset(page * PAGE_SIZE);
        }
        // SAFETY: the frames were just taken, and are reached through this mapping alone.
        match unsafe { Machine::map_guarded(list) } {
            Ok(bottom) => Ok(Self { bottom, frames, pages }),
            // Whatever the reason, on all architectures it comes down to missing tables or addresses.
            Err(_) => {
                frames::give_pages(frames, pages);
                Err(NoMemory)
            }
        }
    }

    /// The end: where a stack that grows down begins.
    pub fn top(&self) -> *mut u8 {
        self.bottom.wrapping_add(self.length())
    }

    /// The lowest byte.
    pub fn bottom(&self) -> *mut u8 {
        self.bottom
    }

    /// Bytes.
    pub fn length(&self) -> usize {
        self.pages * PAGE_SIZE as usize
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: `map_guarded` made this mapping, and who gives up a stack does not run on it.
        unsafe { Machine::unmap_guarded(self.bottom, self.pages) }
        frames::give_pages(self.frames, self.pages);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_has_whole_pages_and_is_writable_up_to_its_top() {
        let stack = Stack::new(10_000).unwrap();
        assert_eq!(stack.length(), 12_288);
        assert_eq!(stack.top().addr() % 16, 0);
        // SAFETY: the byte below the top is inside the stack, which this test owns.
        unsafe { stack.top().sub(1).write(1) };
        assert!(Stack::new(1 << 30).is_err());
    }
}
