//! Clocks that go on while the machine is off.

pub(crate) mod goldfish;
pub(crate) mod pl031;
