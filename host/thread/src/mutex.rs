//! A lock that sleeps while another thread holds it.
#![expect(unsafe_code, reason = "a lock hands out exclusive references to what it guards")]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use arch::Nanos;
use atomic::{AtomicU32, Ordering};
use host_sync::{IrqOff, Rank, Spin, might_sleep};

use crate::cpu;
use crate::line::Line;
use crate::wait::await_turn;

const FREE: u32 = 0;
const HELD: u32 = 1;
/// Held, and somebody may wait: who gives it back must look.
const WANTED: u32 = 2;

/// A lock that sleeps while another thread holds it. It is handed to who has waited longest.
pub struct Mutex<T: ?Sized> {
    state: AtomicU32,
    line: Spin<Line, IrqOff>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands its value from thread to thread, which is what `Send` permits.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: references to the value exist only through the guard, one at a time.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self {
            state: AtomicU32::new(FREE),
            line: Spin::ranked(Line::new(), Rank::Waiters),
            value: UnsafeCell::new(value),
        }
    }
    /// The value back.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Takes the lock; sleeps while another thread holds it.
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        might_sleep();
        if !self.take(FREE, HELD) {
            self.wait(None);
        }
        self.guard()
    }

    /// Takes the lock if nobody holds it.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.take(FREE, HELD).then(|| self.guard())
    }

    /// Takes the lock; sleeps until `at` for it.
    pub fn lock_until(&self, at: Nanos) -> Option<MutexGuard<'_, T>> {
        might_sleep();
        (self.take(FREE, HELD) || self.wait(Some(at))).then(|| self.guard())
    }

    /// Exclusive access without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    #[inline(always)]
    fn take(&self, from: u32, to: u32) -> bool {
        self.state.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Only for who has just taken the lock.
    #[inline(always)]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, here: PhantomData }
    }

    #[cold]
    fn wait(&self, at: Option<Nanos>) -> bool {
        let mut line = self.line.lock();
        // Who gives the lock back finds it wanted, and then needs the line's lock to free it.
        if self.state.swap(WANTED, Ordering::Acquire) == FREE {
            return true;
        }
        line.join();
        drop(line);
        // Who is taken out of the line was handed the lock.
        await_turn(at) || !self.line.lock().leave()
    }

    #[cold]
    fn hand_over(&self) {
        let mut line = self.line.lock();
        let next = line.leave_first();
        if next.is_none() {
            self.state.store(FREE, Ordering::Release);
        } else if line.is_empty() {
            self.state.store(HELD, Ordering::Release);
        }
        drop(line);
        if let Some(next) = next {
            cpu::wake(&next);
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.state.load(Ordering::Relaxed) != FREE;
        f.debug_struct("Mutex").field("held", &held).finish_non_exhaustive()
    }
}

/// The right to the value of a [`Mutex`]; gives the lock back when dropped.
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// It stays with its thread.
    here: PhantomData<*const ()>,
}

// SAFETY: a shared guard only gives shared references to the value.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed exclusively.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.mutex.state.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed).is_err() {
            self.mutex.hand_over();
        }
    }
}
