//! Serial ports.

mod fifo;
mod ns16550;
mod pl011;
mod port;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&pl011::MODEL, &ns16550::MODEL];
