//! What every program here stands on: exceptions, the console, firmware, interrupts, time. What differs between
//! architectures is in [`crate::arch`] and found here under the same names.

mod allocator;
pub(crate) mod clock;
pub(crate) mod cpus;
pub(crate) mod faults;
pub(crate) mod interrupts;
pub(crate) mod machine;
pub(crate) mod print;
pub(crate) mod random;

pub(crate) use crate::arch::{firmware, mmio, registers, timer};
pub(crate) use print::say;
