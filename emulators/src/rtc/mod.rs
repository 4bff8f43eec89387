//! Real-time clocks.

mod pl031;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&pl031::MODEL];
