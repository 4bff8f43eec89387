//! What fits nowhere else.

mod zero;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&zero::MODEL];
