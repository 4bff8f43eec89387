//! What can switch the machine off.

pub(crate) mod psci;
pub(crate) mod sbi;
pub(crate) mod syscon;
