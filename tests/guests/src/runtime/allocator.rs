//! The crates used here know of a heap; there is none.

use core::alloc::{GlobalAlloc, Layout};

struct None;

// SAFETY: it never gives anything.
unsafe impl GlobalAlloc for None {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static NONE: None = None;
