//! How long a virtual CPU was kept out of its guest, and why.

use arch::Nanos;
use atomic::{AtomicU64, Ordering};
use host_thread::time;

/// Why a virtual CPU is kept out of its guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Rest {
    /// It is held, for a moment or until it is resumed.
    Paused,
    /// It can't go on, or was told not to.
    Halted,
    /// It was not powered on, or is off again.
    Off,
}

const KINDS: usize = 3;
/// Not at rest.
const BUSY: u64 = u64::MAX;

/// The sums of one virtual CPU. Its thread alone changes them.
#[derive(Debug)]
pub(crate) struct Rests {
    sums: [AtomicU64; KINDS],
    since: [AtomicU64; KINDS],
}

impl Default for Rests {
    fn default() -> Self {
        let filled = |value| [(); KINDS].map(|()| AtomicU64::new(value));
        Self { sums: filled(0), since: filled(BUSY) }
    }
}

impl Rests {
    /// A rest begins.
    pub(crate) fn begin(&self, why: Rest) {
        if let Some(since) = self.since.get(why as usize) {
            since.store(time::now().0, Ordering::Relaxed);
        }
    }

    /// It ends.
    pub(crate) fn end(&self) {
        let now = time::now();
        for (sum, since) in self.sums.iter().zip(&self.since) {
            let begun = since.swap(BUSY, Ordering::Relaxed);
            if begun != BUSY {
                sum.fetch_add(now.since(Nanos(begun)).0, Ordering::Relaxed);
            }
        }
    }

    /// All rests of this kind, the present one included.
    pub(crate) fn sum(&self, why: Rest) -> Nanos {
        let read = |of: &[AtomicU64; KINDS]| of.get(why as usize).map(|it| it.load(Ordering::Relaxed));
        let begun = read(&self.since).filter(|since| *since != BUSY);
        let now = begun.map(|begun| time::now().since(Nanos(begun))).unwrap_or_default();
        Nanos(read(&self.sums).unwrap_or(0)).after(now)
    }
}
