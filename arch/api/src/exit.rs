//! Why a guest stopped running, and what is owed to it.

use addr::Gpa;

/// How many bytes an access covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Width {
    /// One byte.
    B1 = 0,
    /// Two bytes.
    B2 = 1,
    /// Four bytes.
    B4 = 2,
    /// Eight bytes.
    B8 = 3,
}

impl Width {
    /// Bytes.
    #[inline(always)]
    pub const fn bytes(self) -> u64 {
        // The discriminants are logarithms.
        1 << (self as u32)
    }
    /// The width of `bytes`, when it is 1, 2, 4 or 8.
    pub const fn from_bytes(bytes: u64) -> Option<Self> {
        match bytes {
            1 => Some(Self::B1),
            2 => Some(Self::B2),
            4 => Some(Self::B4),
            8 => Some(Self::B8),
            _ => None,
        }
    }
    /// Ones in every bit that a value of this width has.
    #[inline(always)]
    pub const fn mask(self) -> u64 {
        // Without a case apart for eight bytes: each access of a guest asks for this.
        u64::MAX >> (64 - (8 << (self as u32)))
    }
}

/// A system register, by the number that the architecture's encoding gives it
/// (on AArch64 `isa_a64::SysReg::bits`, on RISC-V the CSR's number).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegisterId(pub u32);

/// Where an access went.
// Of two whole words: exits pass through registers then.
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Guest-physical memory.
    Memory(Gpa),
    /// An I/O port.
    Port(u16),
    /// A system register that the architecture does not settle alone.
    Register(RegisterId),
}

/// A read that is owed an answer: [`super::GuestCpu::answer_read`].
#[must_use = "the guest waits for an answer"]
#[derive(Debug)]
pub struct Read {
    /// From where.
    pub place: Place,
    /// How much.
    pub width: Width,
    /// The architecture's note of what to do with the answer.
    pub note: u32,
}

/// A write that is owed an answer: [`super::GuestCpu::answer_write`].
#[must_use = "the guest waits for an answer"]
#[derive(Debug)]
pub struct Write {
    /// To where.
    pub place: Place,
    /// How much.
    pub width: Width,
    /// What; bits beyond the width are zero.
    pub value: u64,
    /// The architecture's note of what to do with the answer.
    pub note: u32,
}

/// Which instruction made a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Conduit {
    /// A hypervisor call (HVC, VMCALL), by the SMC Calling Convention on Arm.
    Hypervisor,
    /// A firmware call (SMC), by the same convention.
    Firmware,
    /// A call of the supervisor's environment (ECALL on RISC-V), by the SBI.
    Environment,
}

/// A call that is owed an answer: [`super::GuestCpu::answer_call`].
#[must_use = "the guest waits for an answer"]
#[derive(Debug)]
pub struct Call {
    /// How the guest called.
    pub conduit: Conduit,
    /// The instruction's immediate; zero for calls by the standard convention.
    pub immediate: u16,
    /// The register that names the function (X0 on Arm), or the extension that it belongs to (a7 on RISC-V).
    /// The others are asked for where they matter ([`super::GuestCpu::arguments`]), so that an exit stays a
    /// few words.
    pub function: u64,
}

/// What went wrong for a guest, as it will see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GuestFault {
    /// The instruction does not exist: an illegal instruction.
    Undefined,
    /// Nothing answered at this address: a synchronous external abort on data, an access fault.
    ExternalAbort,
    /// Nothing answered where the instruction should have come from: the same on a fetch.
    FetchAbort,
}

/// What a virtual CPU starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerOn {
    /// Guest-physical address of the first instruction.
    pub entry: Gpa,
    /// What the boot protocol's one argument holds: X0 on Arm, a1 on RISC-V (where a0 is the hart's id, which
    /// the CPU knows).
    pub argument: u64,
}

/// Why a guest's CPU stopped.
#[must_use = "the guest waits for an answer"]
#[derive(Debug)]
pub enum Exit {
    /// It reads from something emulated.
    Read(Read),
    /// It writes to something emulated.
    Write(Write),
    /// It calls the hypervisor or the firmware.
    Call(Call),
    /// It has nothing to do until an interrupt.
    Wait,
    /// It waits for another of its CPUs to do something: let somebody else run.
    Yield,
    /// A host interrupt is pending; it is taken when interrupts are unmasked.
    Host,
    /// Another CPU called it out ([`super::Virt::call_out`]): there is nothing to take, but something to look at.
    Called,
    /// It did something for which an exception is due.
    Fault(GuestFault),
    /// The hardware refuses to go on; the number is the architecture's.
    Refused(u64),
}
