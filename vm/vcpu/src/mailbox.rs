//! What is asked of a virtual CPU's thread: bits, so that asking twice is asking once.

use core::ops::BitOr;

use atomic::{AtomicU32, Ordering};

/// A set of things to ask.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Asked(u32);

impl Asked {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// Stay out of the guest as long as this is set.
    pub const HOLD: Self = Self(1);
    /// Begin where the order to power on says.
    pub const START: Self = Self(2);
    /// Power off, and forget where the guest was.
    pub const OFF: Self = Self(4);
    /// Stop where the guest is, until powered off.
    pub const HALT: Self = Self(8);
    /// Print the registers for somebody.
    pub const SHOW: Self = Self(16);
    /// As [`Asked::HOLD`], for this CPU alone and not for its whole machine.
    pub const PAUSE: Self = Self(64);
    /// The thread shall end.
    pub const END: Self = Self(32);

    /// Whether any of `other` is in the set.
    pub const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// What is in the set and not in `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// Whether nothing is asked.
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Asked {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Where to ask. Anybody sets; the thread clears what it has done.
#[derive(Default, Debug)]
pub struct Mailbox(AtomicU32);

impl Mailbox {
    /// An empty one.
    pub fn new() -> Self {
        Self(AtomicU32::new(0))
    }
    /// Asks. Whoever asks wakes the thread afterwards.
    pub fn ask(&self, what: Asked) {
        self.0.fetch_or(what.0, Ordering::SeqCst);
    }
    /// Takes back, or reports as done.
    pub fn clear(&self, what: Asked) {
        self.0.fetch_and(!what.0, Ordering::SeqCst);
    }
    /// What is asked now.
    #[inline]
    pub fn asked(&self) -> Asked {
        Asked(self.0.load(Ordering::SeqCst))
    }
}
