//! The heap: a pool of constant-time blocks ("two-level segregated fit", Masmano et al. 2004, by the
//! crate `rlsf`) that grows by chunks of frames. What is large goes to frames directly, in whole pages.
#![expect(unsafe_code, reason = "it is the allocator")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{NonNull, null_mut};

use addr::{Hpa, PAGE_SIZE};
use arch::{HostPaging, Machine};
use atomic::{AtomicUsize, Ordering};
use host_sync::{IrqOff, Rank, Spin};
use rlsf::Tlsf;

use crate::frames;

/// Allocations of this many bytes or more have frames of their own.
const LARGE: usize = 32 << 10;
/// The first chunk, 256 KiB: start-up needs about so much.
const FIRST_ORDER: u8 = 6;
/// The smallest chunk, 64 KiB: it has room for the largest block that is not [`LARGE`].
const LEAST_ORDER: u8 = 4;
/// The largest chunk, 1 MiB.
const MOST_ORDER: u8 = 8;

/// Blocks of up to 2 MiB: 16 powers of two from 32 bytes on, each in 16 steps.
type Pool = Tlsf<'static, u16, u16, 16, 16>;

struct Heap {
    pool: Pool,
    size: usize,
    used: usize,
    allocations: u64,
}

static HEAP: Spin<Heap, IrqOff> = Spin::ranked(Heap::new(), Rank::Heap);
static LARGE_BYTES: AtomicUsize = AtomicUsize::new(0);

impl Heap {
    const fn new() -> Self {
        Self { pool: Pool::new(), size: 0, used: 0, allocations: 0 }
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let block = match self.pool.allocate(layout) {
            Some(block) => block,
            None => {
                self.grow()?;
                self.pool.allocate(layout)?
            }
        };
        self.used += layout.size();
        self.allocations += 1;
        Some(block)
    }

    /// # Safety
    /// `block` was allocated here with this layout and is not used any more.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: as the caller says.
        unsafe { self.pool.deallocate(block, layout.align()) }
        self.used -= layout.size();
    }

    /// # Safety
    /// `block` was allocated here with `old`; on success it is not used any more.
    unsafe fn reallocate(&mut self, block: NonNull<u8>, old: Layout, new: Layout) -> Option<NonNull<u8>> {
        // SAFETY: as the caller says; both have the same alignment.
        let moved = match unsafe { self.pool.reallocate(block, new) } {
            Some(moved) => moved,
            None => {
                self.grow()?;
                // SAFETY: as above; a failed attempt leaves the block as it was.
                unsafe { self.pool.reallocate(block, new) }?
            }
        };
        self.used = self.used - old.size() + new.size();
        Some(moved)
    }

    /// Adds a chunk: a quarter of what there is, within limits; the least one if memory is short.
    fn grow(&mut self) -> Option<()> {
        let order = match (self.size / 4 / PAGE_SIZE as usize).checked_ilog2() {
            Some(log) => (log as u8).clamp(LEAST_ORDER, MOST_ORDER),
            None => FIRST_ORDER,
        };
        let (base, order) = match frames::take(order) {
            Ok(base) => (base, order),
            Err(_) => (frames::take(LEAST_ORDER).ok()?, LEAST_ORDER),
        };
        let length = (PAGE_SIZE as usize) << order;
        let chunk = NonNull::slice_from_raw_parts(NonNull::new(Machine::address_of(base))?, length);
        // SAFETY: the frames were just taken and are never given back; all RAM is mapped.
        unsafe { self.pool.insert_free_block_ptr(chunk) };
        self.size += length;
        Some(())
    }
}

/// Whether an allocation has frames of its own.
fn is_large(layout: Layout) -> bool {
    layout.size() >= LARGE || layout.align() > PAGE_SIZE as usize
}

/// How many pages a large allocation has. Blocks are aligned to their size, rounded up to a power of two.
fn pages(layout: Layout) -> usize {
    let least = if layout.align() > PAGE_SIZE as usize { layout.align() } else { 1 };
    layout.size().max(least).div_ceil(PAGE_SIZE as usize)
}

/// The heap, for `#[global_allocator]`.
struct Kernel;

// SAFETY: blocks come from the pool or from the frame allocator, which hand out memory once; size and
// alignment are those asked for; nothing in here unwinds.
unsafe impl GlobalAlloc for Kernel {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout) {
            return HEAP.lock().allocate(layout).map_or(null_mut(), NonNull::as_ptr);
        }
        match frames::take_pages(pages(layout)) {
            Ok(base) => {
                LARGE_BYTES.fetch_add(pages(layout) * PAGE_SIZE as usize, Ordering::Relaxed);
                Machine::address_of(base)
            }
            Err(_) => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout) {
            LARGE_BYTES.fetch_sub(pages(layout) * PAGE_SIZE as usize, Ordering::Relaxed);
            let base: Hpa = Machine::frame_of(block);
            frames::give_pages(base, pages(layout));
        } else if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller says that `alloc` gave it for this layout.
            unsafe { HEAP.lock().deallocate(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, old: Layout, size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(size, old.align()) else { return null_mut() };
        match (is_large(old), is_large(new)) {
            (true, true) if pages(old) == pages(new) => block,
            (false, false) => {
                let Some(block) = NonNull::new(block) else { return null_mut() };
                // SAFETY: the caller says that `alloc` gave it for this layout.
                unsafe { HEAP.lock().reallocate(block, old, new) }.map_or(null_mut(), NonNull::as_ptr)
            }
            _ => {
                // SAFETY: the size is not zero, as the caller says.
                let moved = unsafe { self.alloc(new) };
                if !moved.is_null() {
                    // SAFETY: both blocks are at least as long as the shorter one, and do not overlap.
                    unsafe { core::ptr::copy_nonoverlapping(block, moved, old.size().min(size)) };
                    // SAFETY: the caller says that `alloc` gave it for this layout.
                    unsafe { self.dealloc(block, old) };
                }
                moved
            }
        }
    }
}

#[cfg(target_os = "none")]
#[global_allocator]
static KERNEL: Kernel = Kernel;

/// What the heap holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapStats {
    /// Bytes of the chunks that the pool has grown to.
    pub size: usize,
    /// Bytes of it that are allocated, without what the pool adds for itself.
    pub used: usize,
    /// Bytes of large allocations, which have frames of their own.
    pub large: usize,
    /// Allocations from the pool since start-up.
    pub allocations: u64,
}

/// What the heap holds; nothing on the development machine, whose own heap is used.
pub fn heap_stats() -> HeapStats {
    let large = LARGE_BYTES.load(Ordering::Relaxed);
    let heap = HEAP.lock();
    HeapStats { size: heap.size, used: heap.used, large, allocations: heap.allocations }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Blocks are filled, resized and freed in no particular order, and keep what was written.
    #[test]
    fn blocks_do_not_overlap_and_keep_their_content_when_they_are_resized() {
        let mut live: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut state = 1u64;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        };
        let size = |roll: usize| [1, 24, 100, 4_000, 31_000, 33_000, 70_000][roll % 7] + roll % 50;
        // Miri looks at some bytes of a block only.
        let is_filled = |block: *const u8, length: usize, tag: u8| {
            // SAFETY: whoever asks has the block, and it is so long.
            let bytes = unsafe { core::slice::from_raw_parts(block, length) };
            bytes.iter().step_by(if cfg!(miri) { 997 } else { 1 }).all(|byte| *byte == tag)
        };
        let rounds = if cfg!(miri) { 40 } else { 5_000 };
        for round in 0..rounds {
            let tag = round as u8;
            match random(3) {
                0 if live.len() > 20 => {
                    let (block, layout, tag) = live.swap_remove(random(live.len()));
                    // SAFETY: the block is live, and was allocated with this layout.
                    unsafe {
                        assert!(is_filled(block, layout.size(), tag));
                        Kernel.dealloc(block, layout);
                    }
                }
                1 if !live.is_empty() => {
                    let index = random(live.len());
                    let (block, layout, tag) = live[index];
                    let new = Layout::from_size_align(size(random(1000)), layout.align()).unwrap();
                    // SAFETY: the block is live, and was allocated with this layout.
                    unsafe {
                        let moved = Kernel.realloc(block, layout, new.size());
                        assert!(!moved.is_null());
                        let kept = layout.size().min(new.size());
                        assert!(is_filled(moved, kept, tag));
                        moved.write_bytes(tag, new.size());
                        live[index] = (moved, new, tag);
                    }
                }
                _ => {
                    let align = 1 << random(14);
                    let layout = Layout::from_size_align(size(random(1000)), align).unwrap();
                    // SAFETY: the size is not zero; the block is as long as the layout says.
                    unsafe {
                        let block = Kernel.alloc(layout);
                        assert!(!block.is_null());
                        assert_eq!(block.addr() % align, 0);
                        block.write_bytes(tag, layout.size());
                        live.push((block, layout, tag));
                    }
                }
            }
        }
        let used: usize =
            live.iter().filter(|(_, layout, _)| !is_large(*layout)).map(|(_, l, _)| l.size()).sum();
        assert_eq!(heap_stats().used, used);
        for (block, layout, _) in live {
            // SAFETY: the block is live, and was allocated with this layout.
            unsafe { Kernel.dealloc(block, layout) }
        }
        assert_eq!(heap_stats().used, 0);
        assert_eq!(heap_stats().large, 0);
        assert!(heap_stats().size > 0);
    }

    #[test]
    fn too_much_is_answered_with_null() {
        let layout = Layout::from_size_align(usize::MAX / 4, 16).unwrap();
        // SAFETY: the size is not zero.
        assert!(unsafe { Kernel.alloc(layout) }.is_null());
    }
}
