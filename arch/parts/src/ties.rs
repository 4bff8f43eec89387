//! What ties a virtual CPU to what is above it, the same on all architectures.

use arch_api::{Clock, GuestPort, GuestProfile, Waits};
use atomic::{Arc, AtomicU32, Ordering};

/// A virtual CPU's profile, the port of its interrupts, and how long it waited in place.
#[expect(missing_debug_implementations, reason = "a port has nothing to show")]
pub struct Ties {
    /// What it was made as.
    pub profile: GuestProfile,
    /// Its interrupts.
    pub port: Arc<dyn GuestPort>,
    /// The port's [`GuestPort::stir`], here since each entry looks.
    stir: Arc<AtomicU32>,
    waits: Arc<Waits>,
}

impl Ties {
    /// Of a new virtual CPU.
    pub fn new(profile: GuestProfile, port: Arc<dyn GuestPort>) -> Self {
        Self { profile, stir: port.stir().clone(), port, waits: Arc::default() }
    }

    /// Whether the port has news: [`GuestPort::stirred`] without a call.
    #[inline(always)]
    pub fn stirred(&self) -> bool {
        self.stir.load(Ordering::Acquire) != 0
    }

    /// [`arch_api::GuestCpu::waits`].
    pub const fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    /// Waits on the guest's behalf, with the guest in the processor: `wait` returns when any interrupt comes. Nobody else
    /// could run meanwhile. Who stirs the port from now on interrupts us; who did before is to be looked for first.
    #[inline]
    pub fn wait<C: Clock>(&self, wait: impl FnOnce()) {
        self.waits.begin(C::now());
        wait();
        self.waits.end(C::now());
    }
}
