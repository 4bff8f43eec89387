//! Emulated devices, and the buses on which a guest finds them.
//!
//! A [`Device`] is a state machine behind one lock. A [`Bus`] says which device answers at an address. A
//! device says why it refuses ([`Refused`]); what the guest sees then is the machine's decision.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bus;
mod device;

pub use bus::{Address, Bus, Hint, Overlap};
pub use device::{Access, Device, Refused, Target, VcpuWaker, Work, share};
