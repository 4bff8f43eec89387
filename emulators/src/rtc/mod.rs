//! Real-time clocks.

mod goldfish;
mod pl031;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&pl031::MODEL, &goldfish::MODEL];
