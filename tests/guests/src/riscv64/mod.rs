//! RISC-V, 64 bits: supervisor mode of a machine with SBI, a PLIC or interrupt files, a 16550.

mod head;
mod vectors;

pub(crate) mod bench;
pub(crate) mod firmware;
pub(crate) mod imsic;
pub(crate) mod irq;
pub(crate) mod machine;
pub(crate) mod mischief;
pub(crate) mod mmio;
pub(crate) mod plic;
pub(crate) mod power;
pub(crate) mod registers;
pub(crate) mod selfcheck;
pub(crate) mod timer;
pub(crate) mod uart;

pub(crate) use head::MAX_CPUS;
