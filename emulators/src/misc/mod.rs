//! What fits nowhere else.

mod pv_time;
mod sifive_test;
mod zero;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&pv_time::MODEL, &zero::MODEL, &sifive_test::MODEL];
