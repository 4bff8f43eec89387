//! What can switch the machine off.

pub(crate) mod psci;
