//! ARMv8-A: the hypervisor at EL2, its guests at EL1 and EL0.
//!
//! The processor is used in its non-VHE form (HCR_EL2.E2H = 0) everywhere, so that one image runs on
//! cores with and without FEAT_VHE. Memory is mapped at its physical address (identity), code and data
//! apart (W^X). Guest state that the hypervisor itself does not use (EL1 system registers, the vector
//! registers, the list registers) stays in the hardware until another virtual CPU needs the place.
//!
//! | file | subject |
//! |---|---|
//! | `head` | the image header, from the boot loader's jump to Rust |
//! | `start` | early tables, the early console, hand-over to the hypervisor |
//! | `paging` | our own address space |
//! | `cpu` | per-CPU block, interrupt masks, identity, backtrace |
//! | `processors` | further CPUs, from their first instruction to Rust |
//! | `clock` | the generic timer |
//! | `context` | switching threads |
//! | `vectors` | exceptions taken from our own code |
//! | `icc` | the GICv3 CPU interface |
//! | `memory` | caches, registers of devices, untyped memory |
//! | `guest` | virtual CPUs |
//!
//! "DDI 0487" is the Arm Architecture Reference Manual for A-profile, "IHI 0069" the GICv3 one.
#![no_std]
#![cfg(all(target_arch = "aarch64", target_os = "none"))]
#![expect(unsafe_code, reason = "this crate is the privileged part of the hypervisor on AArch64")]

extern crate alloc;

mod clock;
mod context;
mod cpu;
mod guest;
mod head;
mod icc;
mod memory;
mod paging;
mod processors;
mod registers;
mod start;
mod vectors;

pub use guest::{Stage2, VirtualCpu};

/// The architecture, as [`arch_api`] knows it.
#[derive(Debug)]
pub enum Aarch64 {}
