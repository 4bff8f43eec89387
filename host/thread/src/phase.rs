//! The part of a thread's state that others change: parks and wakes meet here.
#![forbid(unsafe_code)]

use atomic::{AtomicU32, Ordering};

/// How a thread was found that was left a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Parked, and without one.
    Parked,
    /// Running. If it runs a guest, it does not look before the guest is interrupted.
    Running,
    /// It looks before it goes on, or somebody else makes it ready.
    Other,
}

/// Whether a thread runs, and whether it was woken since it last looked.
///
/// Only the holder of its CPU's lock changes the phase; anybody sets the token.
pub(crate) struct Phase(AtomicU32);

impl Phase {
    pub(crate) const RUNNING: u32 = 0;
    pub(crate) const READY: u32 = 1;
    pub(crate) const PARKED: u32 = 2;
    pub(crate) const ENDED: u32 = 4;
    /// It was woken.
    const TOKEN: u32 = 0x80;

    pub(crate) fn new(phase: u32) -> Self {
        Self(AtomicU32::new(phase))
    }

    /// The phase, without the token.
    #[inline(always)]
    pub(crate) fn get(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & !Self::TOKEN
    }

    /// Leaves a token. When the thread is parked it is the caller's to make it ready.
    #[inline(always)]
    pub(crate) fn leave_token(&self) -> Found {
        match self.0.fetch_or(Self::TOKEN, Ordering::AcqRel) {
            Self::PARKED => Found::Parked,
            before if before & !Self::TOKEN == Self::RUNNING => Found::Running,
            _ => Found::Other,
        }
    }

    /// Running to parked, unless there is a token: it is taken then, and the answer is `false`.
    #[inline(always)]
    pub(crate) fn park(&self) -> bool {
        let parked =
            self.0.compare_exchange(Self::RUNNING, Self::PARKED, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !parked {
            self.0.fetch_and(!Self::TOKEN, Ordering::AcqRel);
        }
        parked
    }

    /// Parked to ready. Takes all tokens: who left one did so before the thread runs again.
    #[inline(always)]
    pub(crate) fn make_ready(&self) {
        self.0.swap(Self::READY, Ordering::AcqRel);
    }

    /// Running to ready; a token stays.
    #[inline(always)]
    pub(crate) fn preempt(&self) {
        self.0.fetch_or(Self::READY, Ordering::AcqRel);
    }

    /// Ready to running; `false` when it was not ready. A token stays.
    #[inline(always)]
    pub(crate) fn claim(&self) -> bool {
        let ready = self.get() == Self::READY;
        if ready {
            self.0.fetch_and(!Self::READY, Ordering::AcqRel);
        }
        ready
    }

    /// Running to ended.
    pub(crate) fn end(&self) {
        self.0.swap(Self::ENDED, Ordering::AcqRel);
    }
}
