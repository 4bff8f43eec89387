//! A guest's interrupt controller: GICv3 (IHI 0069) or GICv2 (IHI 0048B), without LPIs, of one security
//! state, for as many CPUs and shared interrupts as the guest has.
//!
//! The distributor and the redistributors are emulated. The CPU interfaces are hardware: what is to be
//! delivered is handed to the list registers, through [`arch::GuestPort`], and the guest takes and ends it
//! without us.
//!
//! | file | contents |
//! |---|---|
//! | `block` | 32 interrupts at a time: what is known of them, and what follows from it |
//! | `state` | the whole: all blocks, the CPUs, who is called when something changes |
//! | `routing` | which CPU gets a shared interrupt |
//! | `exchange` | how interrupts get into a CPU's list registers and back |
//! | `pins` | the lines of the devices, and how CPUs are called |
//! | `port` | the state behind its lock, and what a virtual CPU is joined to |
//! | `registers` | the registers that all frames have in common |
//! | `distributor_v3`, `redistributor`, `distributor_v2`, `sgi` | the frames, and calls between CPUs |
//! | `wiring` | the node in the tree, the buses |
//! | `inspection` | what a person sees |
//!
//! # Interrupts in the hands of hardware
//!
//! How far a guest is with an interrupt that is in a list register is known for sure at an exchange only,
//! which happens when its CPU enters the guest and something stirred it. So a write that concerns such an
//! interrupt (disable, clear, reroute, change of priority) takes effect at the holder's next entry, to
//! which it is called at once. A CPU that reads pending or active bits while its own hardware holds
//! something exchanges first, and sees the truth; about what another CPU holds it sees how things were at
//! that one's last exchange, and calls for another, so that who reads again sees the truth.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

mod block;
mod distributor_v2;
mod distributor_v3;
mod exchange;
mod inspection;
mod lanes;
mod pins;
mod port;
mod redistributor;
mod registers;
mod routing;
mod sgi;
mod state;
#[cfg(test)]
mod tests;
mod wiring;

pub(crate) use pins::Bell;
use vm_machine::Model;

/// The controllers that a guest can have.
pub(crate) const MODELS: &[&Model] = &[&wiring::GIC, &wiring::GICV3, &wiring::GICV2];
