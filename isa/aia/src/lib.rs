//! The RISC-V Advanced Interrupt Architecture, version 1.0: the advanced platform-level interrupt controller
//! ([`aplic`], chapter 4), and the incoming MSI controller ([`imsic`], chapter 3).
//!
//! An IMSIC has *interrupt files*: of each hart one for its supervisor, and one for each guest that may run there. A
//! message is a write of an interrupt's identity to a file's page.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod aplic;
pub mod imsic;
