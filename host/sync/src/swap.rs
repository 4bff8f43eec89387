//! A value that is read without a lock and exchanged whole, once in a while.
#![expect(unsafe_code, reason = "the value is reached through a pointer that is exchanged while it is read")]

use core::ptr::null_mut;

use alloc::boxed::Box;
use arch::{Cpu, IrqsOff, Machine};
use atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::PreemptGuard;

/// At most one `T`, which readers look at without waiting for anybody. Whoever exchanges it waits for
/// the readers, who cannot be preempted, and so gets the old value for himself.
///
/// A reader must not exchange the value that he looks at: he would wait for himself.
pub struct Swap<T> {
    /// From `Box::into_raw`, or null.
    value: AtomicPtr<T>,
    /// How many look at it.
    readers: AtomicU32,
}

// SAFETY: it owns its value and hands it out whole, as `Option<Box<T>>` would, so it may move with it.
unsafe impl<T: Send> Send for Swap<T> {}
// SAFETY: through a shared reference the value is both looked at, by several, and moved out.
unsafe impl<T: Send + Sync> Sync for Swap<T> {}

impl<T> Default for Swap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Swap<T> {
    /// One without a value.
    pub const fn new() -> Self {
        Self { value: AtomicPtr::new(null_mut()), readers: AtomicU32::new(0) }
    }

    /// Looks at the value, which stays as long as `look` runs. Preemption is off meanwhile.
    #[inline]
    pub fn read<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        let _not_preempted = PreemptGuard::new();
        self.look(look)
    }

    /// Looks at the value from where interrupts are masked.
    #[inline]
    pub fn read_masked<R>(&self, _masked: &IrqsOff, look: impl FnOnce(Option<&T>) -> R) -> R {
        self.look(look)
    }

    #[inline(always)]
    fn look<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
        // Sequentially consistent, as is `wait`: either it sees this reader, or this reader sees what was
        // put in before.
        self.readers.fetch_add(1, Ordering::SeqCst);
        let value = self.value.load(Ordering::SeqCst);
        // SAFETY: what is in `value` came from `Box::into_raw`. It is freed only after it was taken out
        // and no reader was seen then, and this reader was counted before he loaded the pointer.
        let result = look(unsafe { value.as_ref() });
        // In the same order too: Miri, which takes sequentially consistent accesses apart from others, finds a reader
        // and the freeing of what he looked at to race otherwise.
        self.readers.fetch_sub(1, Ordering::SeqCst);
        result
    }

    /// Puts `new` in and gives what was there, once nobody looks at that any more.
    pub fn swap(&self, new: Option<Box<T>>) -> Option<Box<T>> {
        let old = self.value.swap(new.map_or(null_mut(), Box::into_raw), Ordering::SeqCst);
        self.wait();
        if old.is_null() {
            return None;
        }
        // SAFETY: it came from `Box::into_raw`, only this call took it out, and whoever looked at it is
        // through: later readers find the new one.
        Some(unsafe { Box::from_raw(old) })
    }

    /// Puts `new` in if there is no value; gives it back otherwise.
    pub fn fill(&self, new: Box<T>) -> Result<(), Box<T>> {
        let new = Box::into_raw(new);
        match self.value.compare_exchange(null_mut(), new, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: `new` came from `into_raw` above and was not put in.
            Err(_) => Err(unsafe { Box::from_raw(new) }),
        }
    }

    /// Waits until nobody looks who began before.
    fn wait(&self) {
        while self.readers.load(Ordering::SeqCst) != 0 {
            Machine::relax();
        }
    }
}

impl<T> Drop for Swap<T> {
    fn drop(&mut self) {
        drop(self.swap(None));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_the_old_value_or_the_new_one_and_never_neither() {
        let swap = Swap::new();
        swap.fill(Box::new((0u64, 0u64))).unwrap();
        assert!(swap.fill(Box::new((9, 9))).is_err());
        let rounds = if cfg!(miri) { 50 } else { 20_000 };
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..rounds {
                        swap.read(|value| {
                            let (a, b) = value.copied().unwrap();
                            assert_eq!(a, b);
                        });
                    }
                });
            }
            for n in 1..rounds {
                let old = swap.swap(Some(Box::new((n, n)))).unwrap();
                assert_eq!(*old, (n - 1, n - 1));
            }
        });
        assert!(swap.swap(None).is_some());
        assert!(swap.read(|value| value.is_none()));
    }
}
