//! How the host's interrupt controller helps guests: published by its driver, looked at by the emulated
//! controllers, so that a guest gets the kind of controller that the hardware can assist.

use addr::{Hpa, Span};
use host_sync::Spin;

/// What the hardware has for guests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Assist {
    /// A virtual CPU interface in the processor's system registers (GICv3).
    Registers,
    /// A virtual CPU interface in memory, to be mapped into the guest (GICv2's GICV).
    Mapped {
        /// Where it is.
        cpu_interface: Span<Hpa>,
    },
}

static ASSIST: Spin<Option<Assist>> = Spin::new(None);

/// Says what the hardware has.
pub fn publish(assist: Assist) {
    *ASSIST.lock() = Some(assist);
}

/// What the hardware has; `None` when nothing was published.
pub fn get() -> Option<Assist> {
    *ASSIST.lock()
}
