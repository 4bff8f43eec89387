//! Machines for guests: built from a device tree, started, stopped, and taken apart without a trace.
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

pub mod bench;
mod boot;
mod build;
mod errand;
mod firmware;
mod guest;
mod guest_tree;
pub mod host_cpu;
mod machine;
pub mod manager;
mod model;
mod plan;
mod rest;
mod resting;
mod schedule;
pub mod shared;
#[cfg(test)]
mod tests;
mod vcpu;
mod wires;

pub use guest::{Guest, LifeError, State};
pub use manager::CreateError;
pub use model::{Controller, Model, NotWired};
pub use rest::Rest;
pub use vcpu::{Vcpu, VcpuState};
pub use vm_vcpu::PowerRequest;
pub use wires::{PowerSwitch, Wires, cells};
