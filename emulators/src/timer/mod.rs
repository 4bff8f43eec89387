//! Timers.

mod armv8;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&armv8::MODEL];
