//! A value that is made once and then only read.
#![expect(unsafe_code, reason = "the value is written through a shared reference, once")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use arch::{Cpu, Machine};
use atomic::{AtomicU8, Ordering};

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FULL: u8 = 2;

/// A value that is made once and then only read.
pub struct Once<T> {
    state: AtomicU8,
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Once<T> {}
// SAFETY: a value set by one thread may be read by all and dropped by another.
unsafe impl<T: Send + Sync> Sync for Once<T> {}

impl<T> Once<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), value: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// The value, if there is one already.
    #[inline(always)]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: once full, the value is never written again, and the load has seen the writer's store.
        (self.state.load(Ordering::Acquire) == FULL).then(|| unsafe { (*self.value.get()).assume_init_ref() })
    }

    /// Sets the value.
    ///
    /// # Errors
    /// Gives `value` back when there is one already, or somebody is just making one.
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.state.compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed).is_err() {
            return Err(value);
        }
        // SAFETY: only the one who changed empty to filling writes, and nobody reads before full.
        unsafe { (*self.value.get()).write(value) };
        self.state.store(FULL, Ordering::Release);
        Ok(())
    }

    /// The value; made by `make` if there is none. When several ask at once, one makes it and the
    /// others spin until it is there: `make` should be short, and must not ask for this value.
    pub fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        loop {
            if let Some(value) = self.get() {
                return value;
            }
            if self.state.compare_exchange(EMPTY, FILLING, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break;
            }
            Machine::relax();
        }
        let value = make();
        // SAFETY: as in `set`; and nobody writes again, so that the reference may be shared.
        let value = unsafe { &*(*self.value.get()).write(value) };
        self.state.store(FULL, Ordering::Release);
        value
    }
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Drop for Once<T> {
    fn drop(&mut self) {
        if *self.state.get_mut() == FULL {
            // SAFETY: full means that the value is there, and nobody else has access any more.
            unsafe { self.value.get_mut().assume_init_drop() }
        }
    }
}
