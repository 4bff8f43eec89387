//! Whether a virtual CPU's thread is out of its guest, against what is asked of it meanwhile.
//!
//! Two sides, each of which stores first and then looks at what the other one stored, with a barrier in between: so at
//! least one of them sees the other.

use atomic::{AtomicBool, Ordering, fence};

/// Whether the thread is out of the guest. It is, before it acts on what the mailbox asks.
pub(crate) struct Resting(AtomicBool);

impl Resting {
    /// It rests.
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// The thread is out of the guest from here on.
    pub(crate) fn begin(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// The thread leaves rest, unless `is_asked` finds something. Says whether it left.
    pub(crate) fn leave(&self, is_asked: impl FnOnce() -> bool) -> bool {
        self.0.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let leaves = !is_asked();
        if !leaves {
            self.begin();
        }
        leaves
    }

    /// Whether the thread is out of the guest. If the caller asked something of it before, and that was not taken back
    /// or done, it also stays out.
    pub(crate) fn is_resting(&self) -> bool {
        fence(Ordering::SeqCst);
        self.0.load(Ordering::Acquire)
    }
}
