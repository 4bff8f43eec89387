//! The input side of the controller: lines set bits here, from any context and without a lock.
//!
//! Who sets a pin stores first and looks then (at what is watched, at who is to be called); who changes
//! what is looked at stores first and drains then. All of it is sequentially consistent, so one of the
//! two sees the other, and nothing is lost.

use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU8, AtomicU16, AtomicU32, Ordering};
use host_sync::Once;
use vio::irq::Pins;
use vm_bus::VcpuWaker;

use super::state::{CpuIndex, FIRST_SPI};

const QUIET: u8 = 0;
const STIRRED: u8 = 1;
const CALLED: u8 = 2;

/// How a virtual CPU is told that its interrupts changed.
#[derive(Default)]
pub(super) struct Bell {
    state: AtomicU8,
    waker: Once<Arc<dyn VcpuWaker>>,
}

impl Bell {
    /// Names who wakes the CPU; once.
    pub(super) fn connect(&self, waker: Arc<dyn VcpuWaker>) {
        // A second one would be for the same CPU.
        let _ = self.waker.set(waker);
    }

    /// Whether the CPU should look; one load.
    #[inline]
    pub(super) fn is_stirred(&self) -> bool {
        self.state.load(Ordering::Acquire) != QUIET
    }

    /// The CPU looks now: what changes from here on needs another call.
    #[inline]
    pub(super) fn answer(&self) {
        self.state.swap(QUIET, Ordering::SeqCst);
    }

    /// The CPU should look before it goes on in its guest; nothing that it must be woken for.
    pub(super) fn stir(&self) {
        // Only from quiet: a call must stay a call.
        let _ = self.state.compare_exchange(QUIET, STIRRED, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The CPU should look now: it is woken, unless it was already.
    pub(super) fn ring(&self) {
        if self.state.swap(CALLED, Ordering::SeqCst) != CALLED
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
    }

    /// The CPU waits and should look: it is woken.
    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// The CPU wants to be woken at `at`.
    pub(super) fn wake_at(&self, at: Nanos) {
        if let Some(waker) = self.waker.get() {
            waker.wake_at(at);
        }
    }
}

/// What the lines of one block did since they were last asked.
pub(super) struct News {
    pub(super) changed: u32,
    pub(super) rose: u32,
    pub(super) level: u32,
}

#[derive(Default)]
struct Word {
    level: AtomicU32,
    rose: AtomicU32,
    changed: AtomicU32,
    watched: AtomicU32,
    targets: [AtomicU16; 32],
}

/// The pins of all shared interrupts.
pub(super) struct Inputs {
    words: Vec<Word>,
    bells: Vec<Arc<Bell>>,
}

impl Inputs {
    /// Pins for `words` blocks of shared interrupts and `cpus` virtual CPUs.
    pub(super) fn new(words: usize, cpus: usize) -> Self {
        Self {
            words: (0..words).map(|_| Word::default()).collect(),
            bells: (0..cpus).map(|_| Arc::default()).collect(),
        }
    }
    /// How many blocks of shared interrupts there are.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }
    /// One per virtual CPU.
    pub(super) fn bells(&self) -> &[Arc<Bell>] {
        &self.bells
    }
    /// Whether lines of a block did something.
    #[inline]
    pub(super) fn is_changed(&self, word: usize) -> bool {
        self.words.get(word).is_some_and(|word| word.changed.load(Ordering::SeqCst) != 0)
    }
    /// Takes what they did.
    pub(super) fn drain(&self, word: usize) -> News {
        let Some(word) = self.words.get(word) else { return News { changed: 0, rose: 0, level: 0 } };
        let changed = word.changed.swap(0, Ordering::SeqCst);
        let rose = word.rose.swap(0, Ordering::SeqCst);
        News { changed, rose, level: word.level.load(Ordering::SeqCst) }
    }
    /// Forgets edges, watches nothing; says the levels.
    pub(super) fn restart(&self, word: usize) -> u32 {
        self.watch(word, 0);
        self.drain(word).level
    }
    /// Says for which interrupts of a block somebody wants to be called.
    pub(super) fn watch(&self, word: usize, mask: u32) {
        if let Some(word) = self.words.get(word) {
            word.watched.store(mask, Ordering::SeqCst);
        }
    }
    /// Says who is called for a shared interrupt.
    pub(super) fn aim(&self, word: usize, bit: u32, target: CpuIndex) {
        let word = self.words.get(word);
        if let Some(aim) = word.and_then(|word| word.targets.get(bit as usize)) {
            aim.store(u16::try_from(target.get()).unwrap_or(u16::MAX), Ordering::SeqCst);
        }
    }
}

impl Pins for Inputs {
    #[inline]
    fn set(&self, pin: u32, level: bool) {
        // The CPUs' own interrupts have no lines.
        let Some(shared) = pin.checked_sub(FIRST_SPI) else { return };
        let Some(word) = self.words.get((shared / 32) as usize) else { return };
        let mask = 1 << (shared % 32);
        let before = if level {
            word.level.fetch_or(mask, Ordering::SeqCst)
        } else {
            word.level.fetch_and(!mask, Ordering::SeqCst)
        };
        if (before & mask != 0) == level {
            return;
        }
        if level {
            word.rose.fetch_or(mask, Ordering::SeqCst);
        }
        word.changed.fetch_or(mask, Ordering::SeqCst);
        if word.watched.load(Ordering::SeqCst) & mask == 0 {
            return;
        }
        let target =
            word.targets.get((shared % 32) as usize).map_or(0, |target| target.load(Ordering::SeqCst));
        if let Some(bell) = self.bells.get(usize::from(target)) {
            // A line that falls takes something away: nobody is woken for that.
            if level { bell.ring() } else { bell.stir() }
        }
    }
}
