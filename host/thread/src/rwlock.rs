//! A lock that sleeps, for many readers or one writer.
#![expect(unsafe_code, reason = "a lock hands out references to what it guards")]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use arch::Nanos;
use atomic::Arc;
use host_sync::{IrqOff, Rank, Spin, SpinGuard, might_sleep};

use crate::control::Control;
use crate::cpu;
use crate::line::Line;
use crate::wait::wait_in;

/// A lock that sleeps: many read, or one writes. Neither side starves: while a writer waits no new reader comes in,
/// and when a writer is through all readers that wait come before the next writer.
pub struct RwLock<T: ?Sized> {
    state: Spin<State, IrqOff>,
    value: UnsafeCell<T>,
}

struct State {
    readers: u32,
    writes: bool,
    /// How many of the readers that wait come before the next writer: those that a writer found when it was through.
    turn: usize,
    waiting_readers: Line,
    waiting_writers: Line,
}

// SAFETY: the lock hands its value from thread to thread, which is what `Send` permits.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: readers on several CPUs share the value, which is what `Sync` permits; a writer is alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl State {
    /// Takes the next one or ones who may come in off their line, one at a time; each is given what it waits for.
    fn admit(&mut self) -> Option<Arc<Control>> {
        if self.writes {
            return None;
        }
        if self.turn > 0 || self.waiting_writers.is_empty() {
            self.turn = self.turn.saturating_sub(1);
            if let Some(reader) = self.waiting_readers.leave_first() {
                self.readers += 1;
                return Some(reader);
            }
            // Some gave up.
            self.turn = 0;
        }
        if self.readers == 0
            && let Some(writer) = self.waiting_writers.leave_first()
        {
            self.writes = true;
            return Some(writer);
        }
        None
    }
}

impl<T> RwLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        let state = State {
            readers: 0,
            writes: false,
            turn: 0,
            waiting_readers: Line::new(),
            waiting_writers: Line::new(),
        };
        Self { state: Spin::ranked(state, Rank::Waiters), value: UnsafeCell::new(value) }
    }

    /// The value back.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until it may read.
    pub fn read(&self) -> ReadGuard<'_, T> {
        self.enter_reader(None);
        ReadGuard { lock: self, here: PhantomData }
    }

    /// Waits until it may read, until `at` at most.
    pub fn read_until(&self, at: Nanos) -> Option<ReadGuard<'_, T>> {
        self.enter_reader(Some(at)).then(|| ReadGuard { lock: self, here: PhantomData })
    }

    /// Waits until it alone may write.
    pub fn write(&self) -> WriteGuard<'_, T> {
        self.enter_writer(None);
        WriteGuard { lock: self, here: PhantomData }
    }

    /// Waits until it alone may write, until `at` at most.
    pub fn write_until(&self, at: Nanos) -> Option<WriteGuard<'_, T>> {
        self.enter_writer(Some(at)).then(|| WriteGuard { lock: self, here: PhantomData })
    }

    /// Exclusive access without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    fn enter_reader(&self, at: Option<Nanos>) -> bool {
        might_sleep();
        let mut state = self.state.lock();
        if !state.writes && state.waiting_writers.is_empty() {
            state.readers += 1;
            return true;
        }
        // Who is taken off the line was counted.
        wait_in(&self.state, state, |state| &mut state.waiting_readers, at)
    }

    fn enter_writer(&self, at: Option<Nanos>) -> bool {
        might_sleep();
        let mut state = self.state.lock();
        if !state.writes && state.readers == 0 {
            state.writes = true;
            return true;
        }
        let entered = wait_in(&self.state, state, |state| &mut state.waiting_writers, at);
        if !entered {
            // Readers may have waited for this one alone.
            self.let_in(self.state.lock());
        }
        entered
    }

    /// Lets all in who may come in now.
    fn let_in<'a>(&'a self, mut state: SpinGuard<'a, State, arch::IrqsOff>) {
        while let Some(next) = state.admit() {
            drop(state);
            cpu::wake(&next);
            state = self.state.lock();
        }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        let (readers, writes) = (state.readers, state.writes);
        drop(state);
        f.debug_struct("RwLock").field("readers", &readers).field("writes", &writes).finish_non_exhaustive()
    }
}

/// The right to read the value of a [`RwLock`].
pub struct ReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    /// It stays with its thread.
    here: PhantomData<*const ()>,
}

/// The right to the value of a [`RwLock`].
pub struct WriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
    /// It stays with its thread.
    here: PhantomData<*const ()>,
}

impl<T: ?Sized> Deref for ReadGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: while a reader is counted nobody writes.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for WriteGuard<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for WriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for ReadGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        state.readers -= 1;
        self.lock.let_in(state);
    }
}

impl<T: ?Sized> Drop for WriteGuard<'_, T> {
    fn drop(&mut self) {
        let mut state = self.lock.state.lock();
        state.writes = false;
        state.turn = state.waiting_readers.length();
        self.lock.let_in(state);
    }
}
