//! What the host's interrupt hardware does for guests.

use atomic::Arc;
use host_mem::Claim;
use host_sync::Once;

/// Which interrupt controllers of guests this host's hardware helps with.
#[derive(Clone, Debug)]
pub struct GuestIrqs {
    /// GICv3: guests reach virtual interrupts through system registers.
    pub v3: bool,
    /// GICv2: the registers (GICV) that a guest is given as its CPU interface (GICC).
    pub v2: Option<Arc<Claim>>,
}

static GUEST_IRQS: Once<GuestIrqs> = Once::new();

/// Says what the hardware can do for guests. Only the first controller's word counts.
pub fn publish_guest_irqs(what: GuestIrqs) {
    // A machine has one controller next to its CPUs; a second one would be a cascaded chip's mistake.
    let _ = GUEST_IRQS.set(what);
}

/// What the hardware can do for guests; `None` when no controller said anything.
pub fn guest_irqs() -> Option<GuestIrqs> {
    GUEST_IRQS.get().cloned()
}
