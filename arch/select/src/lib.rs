//! The one place that chooses an architecture, by the target alone, and checks that it keeps the
//! contract. The rest of the hypervisor sees the aliases below and never a name of an architecture.
#![no_std]
#![forbid(unsafe_code)]

pub use arch_api::*;

#[cfg(all(target_arch = "aarch64", target_os = "none"))]
pub use arch_aarch64::Aarch64 as Machine;
#[cfg(not(target_os = "none"))]
pub use arch_hosted::Hosted as Machine;
#[cfg(all(target_arch = "riscv64", target_os = "none"))]
pub use arch_riscv64::Riscv64 as Machine;

const _: () = {
    const fn keeps_the_contract<A: Arch>() {}
    keeps_the_contract::<Machine>();
};

/// The proof that interrupts are masked on this machine's CPU.
pub type IrqsOff = arch_api::IrqsOff<Machine>;
/// This machine's virtual CPU.
pub type Vcpu = <Machine as Virt>::Vcpu;
/// This machine's guest memory map.
pub type Space = <Machine as Virt>::Space;
/// What this machine keeps of a thread that does not run.
pub type Saved = <Machine as Context>::Saved;
