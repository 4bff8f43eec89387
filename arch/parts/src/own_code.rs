//! What a processor needs that runs our own code: what its interrupts call, a stack for when its own is broken, and
//! the way back along the frames of a crash.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicPtr, Ordering};

use arch_api::{Cpu, IrqEntry, IrqsOff};

/// What the interrupt vector calls; a `static`.
#[derive(Debug)]
pub struct Interrupts<C: Cpu> {
    /// An `IrqEntry<C>`, or null.
    entry: AtomicPtr<()>,
    of: PhantomData<fn(C)>,
}

impl<C: Cpu> Interrupts<C> {
    /// Nothing yet: interrupts are ignored.
    pub const fn new() -> Self {
        Self { entry: AtomicPtr::new(core::ptr::null_mut()), of: PhantomData }
    }

    /// From now on `entry` is called.
    pub fn set(&self, entry: IrqEntry<C>) {
        self.entry.store(entry as *mut (), Ordering::Release);
    }

    /// Calls it.
    #[inline(always)]
    pub fn call(&self, masked: &IrqsOff<C>) {
        let entry = self.entry.load(Ordering::Acquire);
        // SAFETY: only `set` stores here, and only values of this type; null is `None`.
        let entry = unsafe { core::mem::transmute::<*mut (), Option<IrqEntry<C>>>(entry) };
        if let Some(entry) = entry {
            entry(masked);
        }
    }
}

impl<C: Cpu> Default for Interrupts<C> {
    fn default() -> Self {
        Self::new()
    }
}

/// Bytes of the stack on which a broken CPU tells its story.
const EMERGENCY_STACK: usize = 8192;

/// A stack for a processor whose own one may be what is broken. Apart from the processor's block: it is large, and
/// nothing of it is in the image.
#[derive(Debug)]
#[repr(align(16))]
pub struct EmergencyStack(UnsafeCell<MaybeUninit<[u8; EMERGENCY_STACK]>>);

// SAFETY: one processor uses it, by its stack pointer; nobody else looks inside.
unsafe impl Sync for EmergencyStack {}

impl EmergencyStack {
    /// An unused one.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    /// One that stays, for a further processor. It never lies on the caller's stack, which may be smaller.
    pub fn leaked() -> &'static Self {
        // SAFETY: any bytes are one.
        Box::leak(unsafe { Box::<Self>::new_uninit().assume_init() })
    }

    /// One past it, aligned to 16 bytes: what the stack pointer becomes.
    pub fn top(&self) -> usize {
        self.0.get() as usize + EMERGENCY_STACK
    }
}

impl Default for EmergencyStack {
    fn default() -> Self {
        Self::new()
    }
}

/// Walks a chain of frame records from the frame pointer `frame` up, at most `frames` of them, and hands on the
/// addresses to which they return. `record` reads one: the caller's frame pointer, and the address to which is
/// returned; nothing where there is none to be read.
pub fn walk(
    mut frame: usize,
    frames: usize,
    record: impl Fn(usize) -> Option<[usize; 2]>,
    symbol: &mut dyn FnMut(usize),
) {
    for _ in 0..frames {
        if frame == 0 || frame & 7 != 0 {
            return;
        }
        let Some([next, back]) = record(frame) else { return };
        if back == 0 {
            return;
        }
        symbol(back);
        // Callers' frames lie higher: a chain that turns back is broken.
        if next <= frame {
            return;
        }
        frame = next;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn walked(chain: &[(usize, [usize; 2])], frames: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let record = |frame| chain.iter().find(|(at, _)| *at == frame).map(|(_, record)| *record);
        walk(8, frames, record, &mut |back| found.push(back));
        found
    }

    #[test]
    fn a_chain_of_frames_is_followed_to_its_end_or_to_where_it_is_broken() {
        let whole = [(8, [24, 1]), (24, [80, 2]), (80, [0, 3])];
        assert_eq!(walked(&whole, 9), [1, 2, 3]);
        assert_eq!(walked(&whole, 2), [1, 2]);
        assert_eq!(walked(&[(8, [24, 1]), (24, [8, 2])], 9), [1, 2], "it turns back");
        assert_eq!(walked(&[(8, [20, 1]), (20, [80, 2])], 9), [1], "it is not aligned");
        assert_eq!(walked(&[(8, [24, 1]), (24, [80, 0])], 9), [1], "nobody called");
    }
}
