//! A lock that spins.
#![expect(unsafe_code, reason = "a lock hands out exclusive references to what it guards")]

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use arch::{Cpu, IrqsOff, Machine};

use crate::PreemptGuard;
use crate::flag::Flag;
use crate::rank::{Rank, Ranked};

/// What is switched off while a lock is held.
pub trait LockContext {
    /// Switches it back on when dropped.
    type Off;
    /// Switches it off.
    fn off() -> Self::Off;
}

/// Preemption is off: for what threads alone lock.
pub struct PreemptOff;
/// Interrupts are masked: for what interrupt handlers lock too.
pub struct IrqOff;

impl LockContext for PreemptOff {
    type Off = PreemptGuard;
    #[inline(always)]
    fn off() -> PreemptGuard {
        PreemptGuard::new()
    }
}

impl LockContext for IrqOff {
    type Off = IrqsOff;
    #[inline(always)]
    fn off() -> IrqsOff {
        IrqsOff::now()
    }
}

/// A lock that spins. See the [crate] for which context to take.
pub struct Spin<T: ?Sized, C = PreemptOff> {
    context: PhantomData<fn() -> C>,
    rank: Ranked,
    taken: Flag,
    value: UnsafeCell<T>,
}

// SAFETY: the lock hands its value from thread to thread, which is what `Send` permits.
unsafe impl<T: ?Sized + Send, C> Send for Spin<T, C> {}
// SAFETY: references to the value exist only while `taken` is set by their guard, one guard at a time.
unsafe impl<T: ?Sized + Send, C> Sync for Spin<T, C> {}

impl<T, C> Spin<T, C> {
    /// A lock around `value`, of [`Rank::Plain`].
    pub const fn new(value: T) -> Self {
        Self::ranked(value, Rank::Plain)
    }
    /// A lock of this rank: in debug builds, taking it panics while one of the same rank, or of one further down,
    /// is held on this CPU.
    pub const fn ranked(value: T, rank: Rank) -> Self {
        let rank = Ranked::new(rank);
        Self { context: PhantomData, rank, taken: Flag::new(), value: UnsafeCell::new(value) }
    }
    /// The value back.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized, C: LockContext> Spin<T, C> {
    /// Takes the lock; spins while another CPU holds it.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock(&self) -> SpinGuard<'_, T, C::Off> {
        let off = C::off();
        self.take();
        SpinGuard { lock: &self.taken, rank: &self.rank, value: self.value.get(), _off: off }
    }
    /// Takes the lock if nobody holds it.
    #[inline(always)]
    pub fn try_lock(&self) -> Option<SpinGuard<'_, T, C::Off>> {
        let off = C::off();
        if !self.taken.try_take() {
            return None;
        }
        self.rank.took();
        Some(SpinGuard { lock: &self.taken, rank: &self.rank, value: self.value.get(), _off: off })
    }
}

impl<T: ?Sized> Spin<T, IrqOff> {
    /// Takes the lock where interrupts are masked already, without counting once more.
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock_masked<'a>(&'a self, masked: &'a IrqsOff) -> SpinGuard<'a, T, &'a IrqsOff> {
        self.take();
        SpinGuard { lock: &self.taken, rank: &self.rank, value: self.value.get(), _off: masked }
    }
}

impl<T: ?Sized, C> Spin<T, C> {
    #[inline(always)]
    #[cfg_attr(debug_assertions, track_caller)]
    fn take(&self) {
        self.rank.taking();
        self.taken.take(Machine::relax);
        self.rank.took();
    }

    /// Exclusive access without locking.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default, C> Default for Spin<T, C> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized, C> fmt::Debug for Spin<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spin").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// The right to the value of a [`Spin`]; gives the lock back when dropped, then switches back on what
/// its context switched off.
pub struct SpinGuard<'a, T: ?Sized, O> {
    lock: &'a Flag,
    rank: &'a Ranked,
    value: *mut T,
    _off: O,
}

impl<T: ?Sized, O> Deref for SpinGuard<'_, T, O> {
    type Target = T;
    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed.
        unsafe { &*self.value }
    }
}

impl<T: ?Sized, O> DerefMut for SpinGuard<'_, T, O> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard is the only one while it lives, and it is borrowed exclusively.
        unsafe { &mut *self.value }
    }
}

impl<T: ?Sized, O> Drop for SpinGuard<'_, T, O> {
    #[inline(always)]
    fn drop(&mut self) {
        self.rank.gave();
        self.lock.give();
    }
}
