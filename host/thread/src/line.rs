//! A line of threads that wait, first come, first served. Joining it allocates nothing: each thread
//! carries the link to the next one, and stands in one line at a time.
#![expect(unsafe_code, reason = "the links lie in threads that others share")]

use atomic::{Arc, Ordering};

use crate::control::Control;
use crate::cpu;

/// Threads that wait. Always kept behind the lock of what they wait for.
pub(crate) struct Line {
    first: Option<Arc<Control>>,
    /// The last one, of which the one before it (or `first`) holds a count. Stale when there is none.
    last: *const Control,
}

// SAFETY: the pointer is one to a `Control`, of which the line holds a count.
unsafe impl Send for Line {}

impl Line {
    pub(crate) const fn new() -> Self {
        Self { first: None, last: core::ptr::null() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// How many wait.
    pub(crate) fn length(&self) -> usize {
        let mut length = 0;
        let mut next = self.first.as_ref();
        while let Some(control) = next {
            length += 1;
            // SAFETY: it stands in this line, which is locked, since this is borrowed.
            next = unsafe { control.link.next() }.as_ref();
        }
        length
    }

    /// The running thread joins at the end.
    pub(crate) fn join(&mut self) {
        let me = cpu::current_counted();
        me.link.queued.store(true, Ordering::Relaxed);
        self.append(me);
    }

    /// The first one leaves, and is told by its link; wake it once the lock is given back.
    pub(crate) fn leave_first(&mut self) -> Option<Arc<Control>> {
        let first = self.take_first()?;
        first.link.queued.store(false, Ordering::Release);
        Some(first)
    }

    /// The running thread leaves, wherever it stands; `false` when somebody took it out already.
    pub(crate) fn leave(&mut self) -> bool {
        let me = cpu::current_counted();
        if !me.link.queued.swap(false, Ordering::Acquire) {
            return false;
        }
        let mut others = Self::new();
        while let Some(control) = self.take_first() {
            if !Arc::ptr_eq(&control, &me) {
                others.append(control);
            }
        }
        *self = others;
        true
    }

    fn take_first(&mut self) -> Option<Arc<Control>> {
        let first = self.first.take()?;
        // SAFETY: it stands in this line, which is locked, since this is `&mut`.
        self.first = unsafe { first.link.next() }.take();
        Some(first)
    }

    fn append(&mut self, control: Arc<Control>) {
        let before = core::mem::replace(&mut self.last, Arc::as_ptr(&control));
        if self.first.is_none() {
            self.first = Some(control);
        } else {
            // SAFETY: the line is not empty, so `before` is its last one, of which it holds a count; the
            // line is locked, since this is `&mut`.
            unsafe { *(*before).link.next() = Some(control) };
        }
    }
}
