//! Threads that are nobody's driver.
//!
//! * [`mterm`]: the management terminal on the host's console.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod mterm;
