//! Memory that is not simply RAM.

mod alias;
mod rom;
mod shared;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&rom::MODEL, &alias::MODEL, &shared::MODEL];
