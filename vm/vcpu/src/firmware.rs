//! Firmware calls that a guest makes, by the convention of the instruction that it calls with: [`smccc`] for Arm's HVC
//! and SMC, [`sbi`] for RISC-V's ECALL.

use core::ops::ControlFlow;

use addr::Gpa;
use arch::{Call, Conduit, Family, GuestCpu, Machine, Nanos, PowerOn, Space};

use crate::Stop;
use crate::buses::Buses;

pub mod sbi;
pub(crate) mod smccc;

/// Whether a CPU of a guest is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CpuState {
    /// It runs, waits or is held.
    On,
    /// It waits to be powered on.
    Off,
    /// It was told to power on, and has not yet.
    OnPending,
    /// It asked to be suspended, and waits for an interrupt.
    Suspended,
}

/// Why a CPU was not powered on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerError {
    /// The guest has no such CPU.
    NoSuchCpu,
    /// It is on already.
    AlreadyOn,
    /// It was told so already.
    OnPending,
    /// There is nothing to execute at the entry point.
    BadEntry,
}

/// What a virtual CPU can ask about the others of its guest, and of them.
pub trait Siblings: Send + Sync {
    /// Powers on the one with this hardware id.
    fn power_on(&self, hardware_id: u64, from: PowerOn) -> Result<(), PowerError>;
    /// The state of the one with this hardware id; `None` when there is no such one.
    fn state(&self, hardware_id: u64) -> Option<CpuState>;
    /// Where CPU number `index` finds how much time was taken from it (DEN0057); `None` where that is not shown.
    fn stolen_time(&self, index: u32) -> Option<Gpa> {
        let _ = index;
        None
    }
    /// Shows CPU number `index` how much time was taken from it, all in all.
    fn steal(&self, index: u32, stolen: Nanos) {
        let _ = (index, stolen);
    }
    /// The hardware id of CPU number `index`; `None` behind the last one.
    fn hardware_id(&self, index: u32) -> Option<u64>;
    /// Raises the software interrupt of CPU number `index`, or takes it back (RISC-V).
    fn set_software(&self, index: u32, raised: bool);
    /// Says whether CPU number `index` is suspended.
    fn set_suspended(&self, index: u32, suspended: bool);
    /// Whether there is memory of the guest to execute at `from`.
    fn can_start(&self, from: PowerOn) -> bool;
}

/// Who calls, and what belongs to the machine.
pub(crate) struct Caller<'a> {
    pub(crate) index: u32,
    pub(crate) siblings: &'a dyn Siblings,
    pub(crate) buses: &'a Buses,
    pub(crate) space: &'a Space,
}

/// Answers a call.
#[inline]
pub(crate) fn call<C: GuestCpu<Machine = Machine>>(
    cpu: &mut C,
    call: Call,
    caller: &Caller<'_>,
    own: &mut sbi::Own,
) -> ControlFlow<Stop> {
    let is_sbi = match call.conduit {
        Conduit::Environment => arch::can_be(Family::Riscv),
        Conduit::Hypervisor | Conduit::Firmware => !arch::can_be(Family::Arm),
    };
    if is_sbi { sbi::call(cpu, call, caller, own) } else { smccc::call(cpu, call, caller, own) }
}
