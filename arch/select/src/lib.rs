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

/// Families of processors, for catalogs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// Arm.
    Arm,
    /// RISC-V.
    Riscv,
    /// All of them: the development machine, where everything is tested.
    Every,
}

/// The family that this machine is of.
#[cfg(all(target_arch = "aarch64", target_os = "none"))]
pub const FAMILY: Family = Family::Arm;
/// The family that this machine is of.
#[cfg(all(target_arch = "riscv64", target_os = "none"))]
pub const FAMILY: Family = Family::Riscv;
/// The family that this machine is of.
#[cfg(not(target_os = "none"))]
pub const FAMILY: Family = Family::Every;

/// Whether this machine can be of a family: what is asked so is not in the images of others.
#[inline(always)]
pub const fn can_be(family: Family) -> bool {
    matches!(
        (FAMILY, family),
        (Family::Every, _) | (_, Family::Every) | (Family::Arm, Family::Arm) | (Family::Riscv, Family::Riscv)
    )
}

/// A catalog's entries that only machines of one family can have; nothing on others, so that it is not in their
/// images.
pub const fn only<T>(family: Family, entries: &'static [T]) -> &'static [T] {
    if can_be(family) { entries } else { &[] }
}

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
