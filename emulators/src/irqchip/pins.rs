//! The input side of the controller: lines set bits here, from any context and without a lock.
//!
//! Who sets a pin stores first and looks then (at what is watched, at who is to be called); who changes
//! what is looked at stores first and drains then. All of it is sequentially consistent, so one of the
//! two sees the other, and nothing is lost.

use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU16, AtomicU32, Ordering};
use host_sync::Once;
use vio::irq::Pins;
use vm_bus::VcpuWaker;

use super::state::{CpuIndex, FIRST_SPI};

const QUIET: u32 = 0;
const STIRRED: u32 = 1;
const CALLED: u32 = 2;

/// How a virtual CPU is told that its interrupts changed.
#[derive(Default)]
pub(crate) struct Bell {
    /// Apart, since the CPU looks at it more often than at anything else.
    state: Arc<AtomicU32>,
    waker: Once<Arc<dyn VcpuWaker>>,
}

impl Bell {
    /// Names who wakes the CPU; once.
    pub(crate) fn connect(&self, waker: Arc<dyn VcpuWaker>) {
        // A second one would be for the same CPU.
        let _ = self.waker.set(waker);
    }

    /// What is not zero when the CPU should look.
    pub(crate) fn state(&self) -> &Arc<AtomicU32> {
        &self.state
    }

    /// The CPU looks now: what changes from here on needs another call.
    #[inline]
    pub(crate) fn answer(&self) {
        self.state.swap(QUIET, Ordering::SeqCst);
    }

    /// The CPU should look before it goes on in its guest; nothing that it must be woken for.
    pub(crate) fn stir(&self) {
        // Only from quiet: a call must stay a call.
        let _ = self.state.compare_exchange(QUIET, STIRRED, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The CPU should look now: it is woken, unless it was already.
    pub(crate) fn ring(&self) {
        if self.state.swap(CALLED, Ordering::SeqCst) != CALLED
            && let Some(waker) = self.waker.get()
        {
            waker.wake();
        }
    }

    /// The CPU waits and should look: it is woken.
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake();
        }
    }

    /// The CPU wants to be woken at `at`.
    pub(crate) fn wake_at(&self, at: Nanos) {
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

/// The pins of a block.
#[derive(Default)]
struct Word {
    level: AtomicU32,
    rose: AtomicU32,
    changed: AtomicU32,
    watched: AtomicU32,
}

impl Word {
    #[inline]
    fn is_changed(&self) -> bool {
        self.changed.load(Ordering::SeqCst) != 0
    }

    /// Takes what the lines did.
    fn drain(&self) -> News {
        let changed = self.changed.swap(0, Ordering::SeqCst);
        let rose = self.rose.swap(0, Ordering::SeqCst);
        News { changed, rose, level: self.level.load(Ordering::SeqCst) }
    }

    /// Forgets edges, watches nothing; says the levels.
    fn restart(&self) -> u32 {
        self.watched.store(0, Ordering::SeqCst);
        self.drain().level
    }

    /// Sets one pin and says so with `tell`, if that is a change; says whether somebody is to be called for it.
    #[inline]
    fn set(&self, mask: u32, level: bool, tell: impl FnOnce()) -> bool {
        let before = if level {
            self.level.fetch_or(mask, Ordering::SeqCst)
        } else {
            self.level.fetch_and(!mask, Ordering::SeqCst)
        };
        if (before & mask != 0) == level {
            return false;
        }
        if level {
            self.rose.fetch_or(mask, Ordering::SeqCst);
        }
        self.changed.fetch_or(mask, Ordering::SeqCst);
        tell();
        self.watched.load(Ordering::SeqCst) & mask != 0
    }
}

/// The pins of a block of shared interrupts, and who is called for each.
#[derive(Default)]
struct Shared {
    word: Word,
    targets: [AtomicU16; 32],
}

/// The pins of all interrupts: the shared ones, and each CPU's own.
pub(super) struct Inputs {
    shared: Vec<Shared>,
    /// Blocks of shared interrupts whose lines did something, a bit each. Set after the block's own words.
    news: AtomicU32,
    private: Vec<Word>,
    bells: Vec<Arc<Bell>>,
}

impl Inputs {
    /// Pins for `words` blocks of shared interrupts and `cpus` virtual CPUs.
    pub(super) fn new(words: usize, cpus: usize) -> Self {
        Self {
            shared: (0..words).map(|_| Shared::default()).collect(),
            news: AtomicU32::new(0),
            private: (0..cpus).map(|_| Word::default()).collect(),
            bells: (0..cpus).map(|_| Arc::default()).collect(),
        }
    }
    /// How many blocks of shared interrupts there are.
    pub(super) fn words(&self) -> usize {
        self.shared.len()
    }
    /// One per virtual CPU.
    pub(super) fn bells(&self) -> &[Arc<Bell>] {
        &self.bells
    }
    fn word(&self, place: Place) -> Option<&Word> {
        match place {
            Place::Shared(word) => self.shared.get(word).map(|shared| &shared.word),
            Place::Private(cpu) => self.private.get(cpu),
        }
    }
    /// Whether lines of shared interrupts did something.
    #[inline]
    pub(super) fn have_news(&self) -> bool {
        self.news.load(Ordering::SeqCst) != 0
    }
    /// Takes which blocks that concerns, a bit each; those are to be drained then.
    pub(super) fn take_news(&self) -> u32 {
        self.news.swap(0, Ordering::SeqCst)
    }
    /// Whether lines of CPU `cpu`'s own interrupts did something.
    #[inline]
    pub(super) fn have_own_news(&self, cpu: usize) -> bool {
        self.private.get(cpu).is_some_and(Word::is_changed)
    }
    /// Takes what they did.
    pub(super) fn drain(&self, place: Place) -> News {
        self.word(place).map_or(News { changed: 0, rose: 0, level: 0 }, Word::drain)
    }
    /// Forgets edges, watches nothing; says the levels.
    pub(super) fn restart(&self, place: Place) -> u32 {
        self.word(place).map_or(0, Word::restart)
    }
    /// Says for which interrupts of a block somebody wants to be called.
    pub(super) fn watch(&self, place: Place, mask: u32) {
        if let Some(word) = self.word(place) {
            word.watched.store(mask, Ordering::SeqCst);
        }
    }
    /// Says who is called for a shared interrupt.
    pub(super) fn aim(&self, word: usize, bit: u32, target: CpuIndex) {
        let shared = self.shared.get(word);
        if let Some(aim) = shared.and_then(|shared| shared.targets.get(bit as usize)) {
            aim.store(u16::try_from(target.get()).unwrap_or(u16::MAX), Ordering::SeqCst);
        }
    }
    fn call(&self, cpu: usize, level: bool) {
        if let Some(bell) = self.bells.get(cpu) {
            // A line that falls takes something away: nobody is woken for that.
            if level { bell.ring() } else { bell.stir() }
        }
    }
}

/// A block of pins.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// This block of shared interrupts, from 0.
    Shared(usize),
    /// This CPU's own.
    Private(usize),
}

impl Pins for Inputs {
    #[inline]
    fn set(&self, pin: u32, level: bool) {
        // The CPUs' own interrupts have lines of their own: `OwnPins`.
        let Some(number) = pin.checked_sub(FIRST_SPI) else { return };
        let (word, bit) = (number / 32, number % 32);
        let Some(shared) = self.shared.get(word as usize) else { return };
        let tell = || {
            // There are 31 blocks at most.
            self.news.fetch_or(1 << (word & 31), Ordering::SeqCst);
        };
        if shared.word.set(1 << bit, level, tell) {
            let target = shared.targets.get(bit as usize);
            self.call(target.map_or(0, |target| target.load(Ordering::SeqCst)).into(), level);
        }
    }
}

/// The pins of one CPU's own interrupts.
pub(super) struct OwnPins {
    pub(super) inputs: Arc<Inputs>,
    pub(super) cpu: usize,
}

impl Pins for OwnPins {
    fn set(&self, pin: u32, level: bool) {
        if pin < FIRST_SPI
            && let Some(word) = self.inputs.private.get(self.cpu)
            && word.set(1 << pin, level, || {})
        {
            self.inputs.call(self.cpu, level);
        }
    }
}
