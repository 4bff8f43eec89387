//! Whose registers are in a processor's hardware.

use core::cell::Cell;

/// Whose registers are in a CPU's hardware. Only this CPU looks, with interrupts masked.
#[derive(Debug)]
pub struct Loaded<S> {
    state: Cell<*mut S>,
    /// The guest's virtual interface rang: look at its interrupts before the next entry.
    pub rang: Cell<bool>,
}

impl<S> Loaded<S> {
    /// Nobody's.
    pub const fn none() -> Self {
        Self { state: Cell::new(core::ptr::null_mut()), rang: Cell::new(false) }
    }

    /// Whether they are those of `state`.
    #[inline(always)]
    pub fn is(&self, state: &S) -> bool {
        core::ptr::eq(self.state.get(), state)
    }

    /// Notes that they are those of `state`.
    pub fn put(&self, state: &mut S) {
        self.state.set(state);
    }

    /// Notes that they are nobody's.
    pub fn clear(&self) {
        self.state.set(core::ptr::null_mut());
    }

    /// Who is in the hardware.
    ///
    /// # Safety
    /// Whoever was `put` here is where it was and not borrowed: it is taken out, on this CPU with interrupts masked,
    /// before it moves or ends.
    #[expect(
        clippy::mut_from_ref,
        reason = "the state is another object; the caller says that it is not borrowed"
    )]
    pub unsafe fn get(&self) -> Option<&mut S> {
        // SAFETY: the caller's promise.
        unsafe { self.state.get().as_mut() }
    }
}

impl<S> Default for Loaded<S> {
    fn default() -> Self {
        Self::none()
    }
}
