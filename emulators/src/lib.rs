//! The guests' shore: emulated devices, one file each, grouped by class.
//!
//! A file has this order: the manual; `MODEL` with its `compatible`; `build`, which reads the device's own
//! node; registers; the struct (wires, what the guest set, what follows from it); `impl Device`; tests.
//! Adding a device is one new file and one line in the class's `MODELS`.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod id;
mod irqchip;
mod memory;
mod misc;
mod riscv;
mod rtc;
mod serial;
#[cfg(test)]
mod tests;
mod timer;

use arch::Family;
use vm_machine::Model;

/// All kinds of devices, class by class.
pub const CATALOG: &[&[&Model]] = &[
    arch::only(Family::Arm, irqchip::MODELS),
    arch::only(Family::Riscv, riscv::MODELS),
    arch::only(Family::Arm, timer::MODELS),
    serial::MODELS,
    rtc::MODELS,
    memory::MODELS,
    misc::MODELS,
];
