//! What the Arm Architecture Reference Manual for A-profile (DDI 0487) says of A64, as pure functions and tables:
//! exception syndromes, system registers, loads and stores, and how an exception is taken.
//!
//! Nothing here executes a privileged instruction; the functions that lie on the path of an exit from a guest
//! ([`esr`], [`SysReg::from_iss`]) are a few masks and shifts each.
//!
//! | module | manual |
//! |---|---|
//! | [`esr`] | D24.2, `ESR_EL2`, `HPFAR_EL2` |
//! | [`sysreg`] | D23, D24: names and encodings of system registers and instructions |
//! | [`id`] | D24.2, `ID_*`: what of the host's identification a guest is told |
//! | [`ldst`] | C4.1.94, loads and stores |
//! | [`pstate`] | C5.2.19 `SPSR_EL1`; D1.3, entry to an exception |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod esr;
pub mod id;
pub mod ldst;
pub mod pstate;
pub mod sysreg;

pub use esr::Esr;
pub use sysreg::SysReg;

/// The number of a general-purpose register, 0 to 31.
///
/// What 31 means is the instruction's business: the zero register, or, for the base of an address, the stack
/// pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Gpr(u8);

impl Gpr {
    /// Number 31: the zero register, or the stack pointer where it is a base.
    pub const ZERO_OR_SP: Self = Self(31);

    /// The register that the low five bits of `field` name.
    #[inline]
    pub const fn new(field: u32) -> Self {
        Self((field & 0x1f) as u8)
    }

    /// The number, below 32.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}
