//! ARMv8-A: EL1 of a machine with PSCI, a GIC, a PL011.

mod head;
mod vectors;

pub(crate) mod bench;
pub(crate) mod firmware;
pub(crate) mod gic;
pub(crate) mod irq;
pub(crate) mod machine;
pub(crate) mod mischief;
pub(crate) mod mmio;
pub(crate) mod power;
pub(crate) mod registers;
pub(crate) mod selfcheck;
pub(crate) mod timer;
pub(crate) mod uart;

pub(crate) use head::MAX_CPUS;
