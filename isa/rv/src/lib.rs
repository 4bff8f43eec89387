//! What the RISC-V manuals say of instructions, control and status registers, causes of traps and the
//! names of extensions, as functions and tables.
//!
//! | module | subject |
//! |---|---|
//! | [`ldst`] | loads and stores by instruction word, and as `htinst` tells them |
//! | [`csr`] | control and status registers: numbers, names, instructions |
//! | [`cause`] | exceptions and interrupts |
//! | [`extensions`] | `riscv,isa` and `riscv,isa-extensions` |
//! | [`local`] | the numbers that this project gives to a hart's own interrupts |
//!
//! "Unpriv" is the RISC-V Instruction Set Manual, Volume I, "Priv" its Volume II.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod cause;
pub mod csr;
pub mod extensions;
pub mod ldst;
pub mod local;

/// A general-purpose register's number, 0 to 31; 0 is the one that is always zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpr(u8);

impl Gpr {
    /// x0, the zero register.
    pub const ZERO: Self = Self(0);
    /// The register whose number is in the low five bits.
    #[inline(always)]
    pub const fn new(number: u32) -> Self {
        Self((number & 31) as u8)
    }
    /// Its number.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
