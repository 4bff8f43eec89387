//! A hart's own interrupts, under one range of numbers: what `LocalIrqs` of the architecture's contract
//! claims and enables on RISC-V.
//!
//! 0 to 15 are the inter-processor interrupts; a local cause (Priv, `scause` with bit 63) and an identity of
//! the interrupt file (IMSIC) follow.

/// Local cause 0; there are [`CAUSES`] of them.
pub const FIRST_CAUSE: u32 = 16;
/// Local causes.
pub const CAUSES: u32 = 64;
/// Identity 0 of the interrupt file, which is never sent.
pub const FIRST_MESSAGE: u32 = FIRST_CAUSE + CAUSES;

/// The number of a local cause, as in `interrupts-extended` of a node below `riscv,cpu-intc`.
pub const fn cause(cause: u32) -> u32 {
    FIRST_CAUSE + cause % CAUSES
}

/// The number of an identity of the interrupt file.
pub const fn message(identity: u32) -> u32 {
    FIRST_MESSAGE + identity
}
