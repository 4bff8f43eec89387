//! Interrupt controllers of RISC-V guests.
//!
//! | file | contents |
//! |---|---|
//! | `hart` | what each CPU has for itself (`riscv,cpu-intc`): the wires that controllers drive |
//! | `plic` | the platform-level interrupt controller |
//! | `aplic` | the advanced one, which interrupts CPUs directly or by messages |
//! | `imsic` | the CPUs' interrupt files, to which messages are sent |

mod aplic;
mod hart;
mod imsic;
mod plic;

use vm_machine::Model;

/// The controllers that a guest can have.
pub(crate) const MODELS: &[&Model] = &[&hart::MODEL, &plic::MODEL, &aplic::MODEL, &imsic::MODEL];
