//! What there is of a thread: the part that anybody may reach at any time.
#![expect(unsafe_code, reason = "a thread that does not run is kept behind a shared reference")]

use alloc::boxed::Box;
use alloc::string::String;
use core::cell::{Cell, UnsafeCell};

use arch::{Context, CpuId, Machine, Saved};
use atomic::{Arc, AtomicBool, AtomicU8, AtomicU64, Ordering};
use host_sync::{IrqOff, Spin};

use crate::Completion;
use crate::policy::Slot;
use crate::stack::Stack;

/// What a thread does.
pub(crate) type Body = Box<dyn FnOnce() + Send>;

/// A thread, for as long as anybody has a handle of it, and at least until it ended.
pub(crate) struct Control {
    pub(crate) id: u64,
    pub(crate) name: String,
    /// The CPU whose threads it is one of. Only that CPU runs it.
    pub(crate) home: CpuId,
    pub(crate) slot: Slot,
    pub(crate) state: Phase,
    /// Whether what woke it last was its deadline.
    pub(crate) timed_out: AtomicBool,
    /// When to wake it, asked for by [`Thread::alarm`](crate::Thread::alarm).
    pub(crate) alarm: Spin<Option<(CpuId, timers::Key)>, IrqOff>,
    /// How long it waited for a CPU until it last got one, in nanoseconds.
    pub(crate) waited: AtomicU64,
    pub(crate) ended: Completion,
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
            home,
            slot,
            state: Phase::new(parts.phase),
            timed_out: AtomicBool::new(false),
            alarm: Spin::new(None),
            waited: AtomicU64::new(0),
            ended: Completion::new(),
            body: Spin::new(parts.body),
            link: Link { queued: AtomicBool::new(false), next: UnsafeCell::new(None) },
            inside: Inside {
                saved: UnsafeCell::new(parts.saved),
                stack: UnsafeCell::new(parts.stack),
                were_on: Cell::new(true),
            },
        }
    }

    /// Switches from this thread, which runs, to `next`.
    ///
    /// # Safety
    /// Both live until somebody switches back, or for ever. `self` runs on this CPU, and `next`, which
    /// the caller has just marked as running, does not; both are at home here.
    #[inline(always)]
    pub(crate) unsafe fn switch_to(&self, next: &Control, masked: &arch::IrqsOff) {
        let nesting = <Machine as arch::Cpu>::nesting(masked);
        let (depth, were_on) = nesting.exchange(1, next.inside.were_on.get());
        debug_assert!(depth == 1, "a switch with interrupts masked more than once");
        self.inside.were_on.set(were_on);
        // SAFETY: the CPU that a thread is at home on is the only one to touch its `saved`, with
        // interrupts masked, in a switch; `next` was prepared or left, since it does not run.
        unsafe { Machine::switch(self.inside.saved.get(), next.inside.saved.get(), masked) }
    }

    /// Takes the stack of a thread that will not run again.
    ///
    /// # Safety
    /// The thread ended, and the CPU left its stack.
    pub(crate) unsafe fn take_stack(&self) -> Option<Stack> {
        // SAFETY: nobody uses the stack or this field any more; the caller is the only one to bury it.
        unsafe { (*self.inside.stack.get()).take() }
    }
}

/// What a new thread is put together from.
pub(crate) struct Parts {
    pub(crate) phase: u8,
    pub(crate) body: Option<Body>,
    pub(crate) saved: Saved,
    pub(crate) stack: Option<Stack>,
}

/// Whether a thread runs, and whether it was woken since it last looked.
///
/// Only the holder of its CPU's lock changes the phase; anybody sets the token.
pub(crate) struct Phase(AtomicU8);

impl Phase {
    pub(crate) const RUNNING: u8 = 0;
    pub(crate) const READY: u8 = 1;
    pub(crate) const PARKED: u8 = 2;
    pub(crate) const ENDED: u8 = 4;
    /// It was woken.
    const TOKEN: u8 = 0x80;

    const fn new(phase: u8) -> Self {
        Self(AtomicU8::new(phase))
    }

    /// The phase, without the token.
    #[inline(always)]
    pub(crate) fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed) & !Self::TOKEN
    }

    /// Leaves a token. `true` when the thread is parked and it is the caller's to make it ready.
    #[inline(always)]
    pub(crate) fn leave_token(&self) -> bool {
        self.0.fetch_or(Self::TOKEN, Ordering::AcqRel) == Self::PARKED
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
