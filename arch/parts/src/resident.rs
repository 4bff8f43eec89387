//! Whose registers are in a processor's hardware, and how a virtual CPU's come there and go.
//!
//! A guest's registers stay in the hardware when it is left, until another virtual CPU needs it or this one goes elsewhere.

use alloc::boxed::Box;
use core::cell::Cell;
use core::ops::{Deref, DerefMut};

use arch_api::{Cpu, IrqsOff};

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
    /// before it moves or ends ([`Home`] sees to that).
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

/// What a virtual CPU keeps of its registers while they are not in the hardware; what the architecture adds is which
/// these are. In a [`Home`].
pub trait Resident: Sized {
    /// The architecture.
    type Machine: Cpu;
    /// A processor's private block.
    type Block: 'static;
    /// A guest's memory map.
    type Space;

    /// This processor's block.
    fn here(masked: &IrqsOff<Self::Machine>) -> &'static Self::Block;
    /// Whose registers are in a processor's hardware.
    fn loaded(cpu: &Self::Block) -> &Loaded<Self>;
    /// Into the hardware of `cpu`, which is this one and in which nobody's are.
    fn restore(&mut self, cpu: &Self::Block, space: &Self::Space, masked: &IrqsOff<Self::Machine>);
    /// Out of the hardware of `cpu`, which is this one.
    fn save(&mut self, cpu: &Self::Block);
    /// Nothing of it is left in the hardware of `cpu`, which is this one, if anything was.
    fn leave(&mut self, cpu: &Self::Block);

    /// Whether its registers are in the hardware of `cpu`.
    #[inline(always)]
    fn is_loaded(&self, cpu: &Self::Block) -> bool {
        Self::loaded(cpu).is(self)
    }

    /// Into the hardware, in place of whoever is there.
    #[cold]
    fn load(&mut self, cpu: &Self::Block, space: &Self::Space, masked: &IrqsOff<Self::Machine>) {
        Self::unload(cpu);
        self.restore(cpu, space, masked);
        Self::loaded(cpu).put(self);
    }

    /// Takes whoever is in the hardware of `cpu`, which is this one, out of it.
    #[inline(always)]
    fn unload(cpu: &Self::Block) {
        // SAFETY: who is loaded lives and is where it was: its home takes it out before that changes.
        if let Some(state) = unsafe { Self::loaded(cpu).get() } {
            state.save(cpu);
            Self::loaded(cpu).clear();
        }
    }
}

/// Where the state of a virtual CPU lives. It does not move, since the hardware's owner points to it, and it leaves the
/// hardware before it ends.
#[derive(Debug)]
pub struct Home<S: Resident>(Box<S>);

// SAFETY: what is in a hardware is reached through the CPU that holds it; before the thread with a virtual
// CPU goes on on another CPU, the one that it leaves takes it out (`Virt::evict`).
unsafe impl<S: Resident> Send for Home<S> {}

impl<S: Resident> Home<S> {
    /// For a state that is in no hardware.
    pub fn new(state: S) -> Self {
        Self(Box::new(state))
    }
}

impl<S: Resident> Deref for Home<S> {
    type Target = S;
    #[inline(always)]
    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: Resident> DerefMut for Home<S> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut S {
        &mut self.0
    }
}

impl<S: Resident> Drop for Home<S> {
    fn drop(&mut self) {
        let masked = IrqsOff::<S::Machine>::now();
        self.0.leave(S::here(&masked));
    }
}
