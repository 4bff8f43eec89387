//! Firmware calls, of two conventions. On RISC-V: [`sbi`]. On Arm: how they are numbered ([`smccc`], DEN0028), and those that a hypervisor answers or makes:
//! power ([`psci`], DEN0022), randomness ([`trng`], DEN0098), stolen time ([`pv_time`], DEN0057).
//!
//! [`Function::decode`] turns the number in W0 into what is asked for; the arguments are in X1 to X7 (or W1 to W7 for a
//! 32-bit call, [`smccc::FunctionId::is_64bit`]), the results go to X0 to X3.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod efi;
pub mod psci;
pub mod pv_time;
pub mod sbi;
pub mod smccc;
pub mod trng;

mod function;

pub use function::Function;
