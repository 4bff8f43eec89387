//! Threads that are nobody's driver.
//!
//! * [`balance`]: moves virtual CPUs to where there is time for them.
//! * [`mterm`]: the management terminal on the host's console.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod balance;
pub mod mterm;
