//! Registers of devices, for drivers without `unsafe`.
//!
//! A driver claims the range that its device tree node names, and owns it until it drops the [`Window`]:
//! a second claim on any byte of it is refused and names the owner. Accesses are single, plain loads and
//! stores, in program order. On the development machine a test plays the device: see [`fake`].
#![no_std]
#![deny(unsafe_code)]

#[cfg(not(target_os = "none"))]
extern crate std;

#[cfg(not(target_os = "none"))]
pub mod fake;
mod window;

pub use host_mem::{Claim, ClaimError, Resource, resources};
pub use window::Window;
