//! RISC-V, 64 bits: the hypervisor in HS mode under an SBI firmware, its guests in VS and VU mode.
//!
//! Memory is mapped at its physical address (identity), code and data apart (W^X); until that map is made,
//! nothing is translated. `tp` holds the address of this CPU's block at all times in HS mode, and `sscratch`
//! zero; while a guest runs, `sscratch` holds the address of its registers. Guest state that the hypervisor
//! itself does not use (VS CSRs, floating point and vectors) stays in the hardware until another virtual CPU
//! needs the place.
//!
//! | file | subject |
//! |---|---|
//! | `head` | the image header, from the boot loader's jump to Rust |
//! | `start` | what the tree says of the processor, the early console, hand-over to the hypervisor |
//! | `paging` | our own address space |
//! | `cpu` | per-CPU block, interrupt masks, identity, backtrace |
//! | `processors` | further harts, from their first instruction to Rust |
//! | `clock` | the time counter and the alarm |
//! | `context` | switching threads |
//! | `traps` | traps taken from our own code |
//! | `local` | the hart's own interrupts |
//! | `sbi` | calls of the firmware |
//! | `memory` | caches, registers of devices, untyped memory |
//! | `guest` | virtual CPUs |
//!
//! "Priv" is the RISC-V Instruction Set Manual, Volume II; "AIA" the Advanced Interrupt Architecture; "SBI" the
//! Supervisor Binary Interface.
#![no_std]
#![cfg(all(target_arch = "riscv64", target_os = "none"))]
#![expect(unsafe_code, reason = "this crate is the privileged part of the hypervisor on RISC-V")]

extern crate alloc;

mod clock;
mod context;
mod cpu;
mod csr;
mod guest;
mod head;
mod local;
mod memory;
mod paging;
mod processors;
mod sbi;
mod start;
mod traps;

pub use guest::{GStage, VirtualCpu};

/// The architecture, as [`arch_api`] knows it.
#[derive(Debug)]
pub enum Riscv64 {}
