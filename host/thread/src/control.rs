//! What there is of a thread: the part that anybody may reach at any time.
#![expect(unsafe_code, reason = "a thread that does not run is kept behind a shared reference")]

use alloc::boxed::Box;
use alloc::string::String;
use core::cell::{Cell, UnsafeCell};

use arch::{Context, CpuId, Machine, Nanos, Saved, Waits};
use atomic::{Arc, AtomicBool, AtomicU64, Ordering};
use host_sync::{IrqOff, Rank, Spin};

use crate::Completion;
use crate::phase::Phase;
use crate::policy::Slot;
use crate::stack::Stack;

/// What a thread does.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// A thread, for as long as anybody has a handle of it, and at least until it ended.
pub(crate) struct Control {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// Whether it runs a guest, and so has to be brought out of it to look at something.
    pub(crate) is_vcpu: bool,
    /// Where it is at home.
    pub(crate) place: Place,
    pub(crate) state: Phase,
    /// Somebody takes it to another CPU and waits to see it there: the wishes of daemons do not count meanwhile.
    pub(crate) is_escorted: AtomicBool,
    /// Whether what woke it last was its deadline.
    pub(crate) timed_out: AtomicBool,
    /// When to wake it, asked for by [`Thread::alarm`](crate::Thread::alarm).
    pub(crate) alarm: Spin<Option<(CpuId, timers::Key)>, IrqOff>,
    /// The end of a park with a deadline, likewise.
    pub(crate) deadline: Spin<Option<(CpuId, timers::Key)>, IrqOff>,
    /// How long it waited for a CPU until it last got one, in nanoseconds.
    pub(crate) waited: AtomicU64,
    /// How long it waited without giving its CPU up, if it does such things.
    pub(crate) waits: Option<Arc<Waits>>,
    pub(crate) ended: Completion,
    /// Whether its stack was given back.
    pub(crate) buried: AtomicBool,
    pub(crate) body: Spin<Option<Body>>,
    pub(crate) link: Link,
    inside: Inside,
}

/// What the running thread and the switch alone touch.
struct Inside {
    saved: UnsafeCell<Saved>,
    stack: UnsafeCell<Option<Stack>>,
    /// Whether interrupts come back with the guard that it holds while it is switched away.
    were_on: Cell<bool>,
}

// SAFETY: see the methods of `Control` that reach it: one CPU does at a time, with interrupts masked.
unsafe impl Sync for Inside {}

/// Where a thread stands in a line of waiters.
pub(crate) struct Link {
    /// Whether it stands in one; cleared by who takes it out, which is how it learns of its turn.
    pub(crate) queued: AtomicBool,
    next: UnsafeCell<Option<Arc<Control>>>,
}

// SAFETY: see `Link::next`.
unsafe impl Sync for Link {}
// SAFETY: it owns a counted reference to a `Control`, which is shared between threads anyway.
unsafe impl Send for Link {}

impl Link {
    /// Who stands behind.
    ///
    /// # Safety
    /// The caller holds the lock of the line in which the thread stands, or is about to put it there;
    /// a thread stands in one line at a time.
    #[expect(clippy::mut_from_ref, reason = "the line's lock makes it exclusive")]
    pub(crate) unsafe fn next(&self) -> &mut Option<Arc<Control>> {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.next.get() }
    }
}

impl Control {
    pub(crate) fn new(id: u64, name: String, home: CpuId, slot: Slot, parts: Parts) -> Self {
        Self {
            id,
            name,
            is_vcpu: parts.is_vcpu,
            place: Place::new(home, slot),
            state: Phase::new(parts.phase),
            is_escorted: AtomicBool::new(false),
            timed_out: AtomicBool::new(false),
            alarm: Spin::ranked(None, Rank::Alarm),
            deadline: Spin::ranked(None, Rank::Alarm),
            waited: AtomicU64::new(0),
            waits: parts.waits,
            ended: Completion::new(),
            buried: AtomicBool::new(false),
            body: Spin::new(parts.body),
            link: Link { queued: AtomicBool::new(false), next: UnsafeCell::new(None) },
            inside: Inside {
                saved: UnsafeCell::new(parts.saved),
                stack: UnsafeCell::new(parts.stack),
                were_on: Cell::new(true),
            },
        }
    }

    /// Whether it waits without giving its CPU up.
    pub(crate) fn waits_in_place(&self) -> bool {
        self.waits.as_ref().is_some_and(|waits| waits.is_waiting())
    }

    /// How long it waited so until `now`.
    pub(crate) fn waited_in_place(&self, now: Nanos) -> Nanos {
        self.waits.as_ref().map_or(Nanos(0), |waits| waits.until(now))
    }

    /// Switches from the thread `from`, which runs, to `next`. They are pointers since a reference would have
    /// to be good until this returns: `from` may have ended, and `next` may end and be freed meanwhile.
    ///
    /// # Safety
    /// Both live until they were left. `from` runs on this CPU, and `next`, which the caller has just marked as
    /// running, does not; `next` is at home here, and no CPU is about to leave it.
    #[inline(always)]
    pub(crate) unsafe fn switch(from: *const Self, next: *const Self, masked: &arch::IrqsOff) {
        let nesting = <Machine as arch::Cpu>::nesting(masked);
        // SAFETY: the caller says that both live.
        let (from, next) = unsafe { (&raw const (*from).inside, &raw const (*next).inside) };
        // SAFETY: likewise, and this CPU alone touches what is inside of them.
        let next_on = unsafe { (*next).were_on.get() };
        let (depth, were_on) = nesting.exchange(1, next_on);
        debug_assert!(depth == 1, "a switch with interrupts masked more than once");
        // SAFETY: likewise.
        let (saved, next) = unsafe {
            (*from).were_on.set(were_on);
            ((*from).saved.get(), (*next).saved.get())
        };
        // SAFETY: the CPU that a thread is at home on is the only one to touch its `saved`, with
        // interrupts masked, in a switch, and it moves only after it was left; `next` was prepared or left, since
        // it does not run.
        unsafe { Machine::switch(saved, next, masked) }
    }

    /// Frees the stack of a thread that will not run again.
    ///
    /// # Safety
    /// The thread ended, and the CPU left its stack.
    pub(crate) unsafe fn free_stack(&self) {
        // SAFETY: nobody uses the stack or this field any more; the caller is the only one to bury it.
        unsafe { *self.inside.stack.get() = None }
        self.buried.store(true, Ordering::Release);
    }
}

/// A thread's CPU and its slot there, in one word. Only its CPU runs it. The holder of that CPU's lock changes
/// the place, which is nowhere between two CPUs.
pub(crate) struct Place(AtomicU64);

impl Place {
    const NOWHERE: u64 = u64::MAX;

    fn new(home: CpuId, slot: Slot) -> Self {
        Self(AtomicU64::new(Self::word(home, slot)))
    }

    const fn word(home: CpuId, slot: Slot) -> u64 {
        (home.0 as u64) << 32 | slot.0 as u64
    }

    /// The CPU and the slot there; `None` while it moves, which is not for long.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<(CpuId, Slot)> {
        let word = self.0.load(Ordering::Acquire);
        // The halves of the word.
        (word != Self::NOWHERE).then_some((CpuId((word >> 32) as u32), Slot(word as u32)))
    }

    /// It leaves its CPU.
    pub(crate) fn leave(&self) {
        self.0.store(Self::NOWHERE, Ordering::Release);
    }

    /// It is at home here now.
    pub(crate) fn settle(&self, home: CpuId, slot: Slot) {
        self.0.store(Self::word(home, slot), Ordering::Release);
    }
}

/// What a new thread is put together from.
pub(crate) struct Parts {
    pub(crate) is_vcpu: bool,
    pub(crate) phase: u32,
    pub(crate) body: Option<Body>,
    pub(crate) saved: Saved,
    pub(crate) stack: Option<Stack>,
    pub(crate) waits: Option<Arc<Waits>>,
}
