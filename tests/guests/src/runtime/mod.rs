//! What every program here stands on: start-up, exceptions, the console, firmware, interrupts, time.

mod allocator;
pub(crate) mod cpus;
pub(crate) mod firmware;
pub(crate) mod gic;
mod head;
pub(crate) mod interrupts;
pub(crate) mod machine;
pub(crate) mod mmio;
pub(crate) mod print;
pub(crate) mod random;
pub(crate) mod registers;
pub(crate) mod timer;
pub(crate) mod vectors;

pub(crate) use print::say;
