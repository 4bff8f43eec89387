//! `ESR_ELx`: why an exception was taken (DDI 0487, D24.2, `ESR_EL2`), and `HPFAR_EL2`, where.
use crate::Gpr;
use crate::sysreg::SysReg;

/// An exception syndrome as the register holds it: EC \[31:26\], IL \[25\], ISS \[24:0\], ISS2 \[55:32\].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Esr(u64);

/// IL: the instruction that trapped was 32 bits long, or the exception has no such instruction.
const IL: u64 = 1 << 25;
const ISS_MASK: u32 = (1 << 25) - 1;

impl Esr {
    /// The syndrome with this register value.
    #[inline]
    pub const fn new(raw: u64) -> Self {
        Self(raw)
    }

    /// Composes the syndrome of an exception from a 32-bit instruction; bits of `iss` above 24 are dropped.
    #[inline]
    pub const fn compose(class: Class, iss: u32) -> Self {
        Self(((class.0 as u64) << 26) | IL | (iss & ISS_MASK) as u64)
    }

    /// The register value.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// EC, the class of the exception.
    #[inline]
    pub const fn class(self) -> Class {
        Class((self.0 >> 26) as u8 & 0x3f)
    }

    /// ISS, the 25 bits whose meaning depends on the class.
    #[inline]
    pub const fn iss(self) -> u32 {
        self.0 as u32 & ISS_MASK
    }

    /// Bytes from the trapped instruction to the next: 4, or 2 for a T32 instruction of half length (IL).
    #[inline]
    pub const fn instruction_bytes(self) -> u64 {
        2 + ((self.0 >> 25) & 1) * 2
    }
}

/// An exception class, `ESR_ELx.EC`. Values that have no name here can occur: the field is six bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class(u8);

macro_rules! classes {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        impl Class {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// The constant's name, or nothing for a value that the manual reserves.
            pub const fn name(self) -> Option<&'static str> {
                match self { $(Self::$name => Some(stringify!($name)),)* _ => None }
            }
        }
    };
}

classes! {
    /// Unknown reason: undefined instructions above all.
    UNKNOWN = 0x00;
    /// WFI, WFE, WFIT or WFET: [`Wait`].
    WAIT = 0x01;
    /// AArch32 MCR or MRC, coproc 15.
    CP15_32 = 0x03;
    /// AArch32 MCRR or MRRC, coproc 15.
    CP15_64 = 0x04;
    /// AArch32 MCR or MRC, coproc 14.
    CP14_32 = 0x05;
    /// AArch32 LDC or STC, coproc 14.
    CP14_LS = 0x06;
    /// Access to SVE, Advanced SIMD or floating point.
    FP = 0x07;
    /// AArch32 VMRS of an ID register (`HCR_EL2.TID0`, `TID3`).
    VMRS = 0x08;
    /// Use of pointer authentication (`HCR_EL2.API`).
    PAUTH = 0x09;
    /// LD64B, ST64B and their kin, and others of the later architectures.
    LS64 = 0x0a;
    /// AArch32 MRRC, coproc 14.
    CP14_64 = 0x0c;
    /// Branch target.
    BTI = 0x0d;
    /// Illegal execution state.
    ILLEGAL_STATE = 0x0e;
    /// AArch32 SVC.
    SVC32 = 0x11;
    /// AArch32 HVC.
    HVC32 = 0x12;
    /// AArch32 SMC.
    SMC32 = 0x13;
    /// A64 MSRR, MRRS or a 128-bit system instruction.
    SYS128 = 0x14;
    /// A64 SVC.
    SVC64 = 0x15;
    /// A64 HVC.
    HVC64 = 0x16;
    /// A64 SMC.
    SMC64 = 0x17;
    /// A64 MSR, MRS or system instruction: [`SysAccess`].
    SYS = 0x18;
    /// Access to SVE.
    SVE = 0x19;
    /// ERET, ERETAA or ERETAB (nested virtualization).
    ERET = 0x1a;
    /// TSTART (transactional memory).
    TSTART = 0x1b;
    /// Pointer authentication failed.
    PAC_FAIL = 0x1c;
    /// Access to SME.
    SME = 0x1d;
    /// Instruction abort from a lower exception level: [`Abort`].
    IABT_LOWER = 0x20;
    /// Instruction abort without a change of exception level: [`Abort`].
    IABT_SAME = 0x21;
    /// PC alignment.
    PC_ALIGN = 0x22;
    /// Data abort from a lower exception level: [`Abort`].
    DABT_LOWER = 0x24;
    /// Data abort without a change of exception level: [`Abort`].
    DABT_SAME = 0x25;
    /// SP alignment.
    SP_ALIGN = 0x26;
    /// Memory copy and set (MOPS).
    MOPS = 0x27;
    /// AArch32 floating-point exception.
    FP32 = 0x28;
    /// AArch64 floating-point exception.
    FP64 = 0x2c;
    /// Guarded control stack.
    GCS = 0x2d;
    /// SError.
    SERROR = 0x2f;
    /// Breakpoint from a lower exception level.
    BREAKPOINT_LOWER = 0x30;
    /// Breakpoint without a change of exception level.
    BREAKPOINT_SAME = 0x31;
    /// Software step from a lower exception level.
    STEP_LOWER = 0x32;
    /// Software step without a change of exception level.
    STEP_SAME = 0x33;
    /// Watchpoint from a lower exception level.
    WATCHPOINT_LOWER = 0x34;
    /// Watchpoint without a change of exception level.
    WATCHPOINT_SAME = 0x35;
    /// AArch32 BKPT.
    BKPT32 = 0x38;
    /// AArch32 vector catch.
    VECTOR_CATCH = 0x3a;
    /// A64 BRK.
    BRK64 = 0x3c;
    /// Profiling.
    PMU = 0x3d;
}

impl Class {
    /// The six bits of the field.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }
}

/// ISS of a trapped MSR, MRS or system instruction ([`Class::SYS`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SysAccess(u32);

impl SysAccess {
    /// Of a syndrome whose class is [`Class::SYS`].
    #[inline]
    pub const fn new(esr: Esr) -> Self {
        Self(esr.iss())
    }

    /// The register, or the system instruction.
    #[inline]
    pub const fn register(self) -> SysReg {
        SysReg::from_iss(self.0)
    }

    /// Rt: what is written, or where what is read goes; 31 is the zero register.
    #[inline]
    pub const fn rt(self) -> Gpr {
        Gpr::new(self.0 >> 5)
    }

    /// Direction: the instruction is MRS (or SYSL), it reads the system register.
    #[inline]
    pub const fn is_read(self) -> bool {
        self.0 & 1 != 0
    }
}

/// What a trapped wait waits for ([`Class::WAIT`], TI).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wait {
    /// WFI.
    Interrupt,
    /// WFE.
    Event,
    /// WFIT: until the virtual count reaches the register, too.
    InterruptUntil(Option<Gpr>),
    /// WFET: until the virtual count reaches the register, too.
    EventUntil(Option<Gpr>),
}

impl Wait {
    /// Of a syndrome whose class is [`Class::WAIT`]. The register is known only if RV says so.
    #[inline]
    pub const fn new(esr: Esr) -> Self {
        let iss = esr.iss();
        let until = if iss & (1 << 2) != 0 { Some(Gpr::new(iss >> 5)) } else { None };
        match iss & 3 {
            0 => Self::Interrupt,
            1 => Self::Event,
            2 => Self::InterruptUntil(until),
            _ => Self::EventUntil(until),
        }
    }
}

/// ISS of an instruction or data abort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abort(u32);

impl Abort {
    /// Of a syndrome whose class is one of the four aborts.
    #[inline]
    pub const fn new(esr: Esr) -> Self {
        Self(esr.iss())
    }

    const fn bit(self, n: u32) -> bool {
        self.0 & (1 << n) != 0
    }

    /// ISV with the fields that it vouches for; `None` means that the instruction has to be decoded
    /// ([`crate::ldst`]). Only for data aborts.
    #[inline]
    pub const fn transfer(self) -> Option<Transfer> {
        if self.bit(24) { Some(Transfer(self.0)) } else { None }
    }

    /// WnR: the access was a write. For cache maintenance and address translation, the syndrome claims a write.
    /// Only for data aborts.
    #[inline]
    pub const fn is_write(self) -> bool {
        self.bit(6)
    }

    /// S1PTW: the fault is stage 2's, on an access of the guest's own stage 1 table walk.
    #[inline]
    pub const fn in_stage1_walk(self) -> bool {
        self.bit(7)
    }

    /// CM: the access was cache maintenance or address translation, no load or store (DC ZVA is a store).
    /// Only for data aborts.
    #[inline]
    pub const fn is_maintenance(self) -> bool {
        self.bit(8)
    }

    /// FnV clear: `FAR_ELx` holds the address. (It may not only for a synchronous external abort.)
    #[inline]
    pub const fn far_is_valid(self) -> bool {
        !self.bit(10)
    }

    /// The fault status code, DFSC or IFSC.
    #[inline]
    pub const fn fault(self) -> Fault {
        Fault::from_code(self.0 as u8 & 0x3f)
    }

    /// Whether `HPFAR_EL2` holds the page's intermediate physical address after this stage 2 fault.
    ///
    /// It does for translation, address size and access flag faults, and whenever the fault lies in the guest's
    /// table walk; after a permission fault it is unknown.
    #[inline]
    pub const fn hpfar_is_valid(self) -> bool {
        self.in_stage1_walk()
            || matches!(self.fault(), Fault::Translation(_) | Fault::AddressSize(_) | Fault::AccessFlag(_))
    }
}

/// The part of a data abort's ISS that is valid when ISV is: a load or store of one general-purpose register
/// without writeback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer(u32);

impl Transfer {
    /// SAS: bytes transferred: 1, 2, 4 or 8.
    #[inline]
    pub const fn bytes(self) -> u8 {
        1 << ((self.0 >> 22) & 3)
    }

    /// SRT: the register.
    #[inline]
    pub const fn register(self) -> Gpr {
        Gpr::new(self.0 >> 16)
    }

    /// SSE: what is loaded is sign-extended.
    #[inline]
    pub const fn sign_extends(self) -> bool {
        self.0 & (1 << 21) != 0
    }

    /// SF: the register is used in its full 64 bits.
    #[inline]
    pub const fn is_64bit(self) -> bool {
        self.0 & (1 << 15) != 0
    }

    /// AR: the instruction has acquire or release semantics.
    #[inline]
    pub const fn is_ordered(self) -> bool {
        self.0 & (1 << 14) != 0
    }

    /// What the register holds after `data`, of [`bytes`](Self::bytes) bytes, was loaded.
    #[inline]
    pub const fn extend(self, data: u64) -> u64 {
        extend(data, self.bytes(), self.sign_extends(), self.is_64bit())
    }
}

/// Extends the low `bytes` (1 to 8) of `data` as a load into a register does: with the sign or with zeros, to 64 bits or
/// to 32 with the upper half clear.
#[inline]
pub const fn extend(data: u64, bytes: u8, signed: bool, to_64: bool) -> u64 {
    let shift = 64u32.saturating_sub(bytes as u32 * 8);
    let shift = if shift > 63 { 63 } else { shift };
    let value = if signed { (((data << shift) as i64) >> shift) as u64 } else { (data << shift) >> shift };
    if to_64 { value } else { value & 0xffff_ffff }
}

/// A level of a translation table walk, -1 to 3.
pub type Level = i8;

/// A fault status code of an abort.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// An address in a table or in the base register is too large.
    AddressSize(Level),
    /// Nothing is mapped.
    Translation(Level),
    /// The access flag is clear.
    AccessFlag(Level),
    /// The permissions do not allow the access.
    Permission(Level),
    /// Something outside the processor refused the access.
    External,
    /// Something outside the processor refused an access of the table walk.
    ExternalOnWalk(Level),
    /// Tag check (MTE).
    Tag,
    /// Parity or ECC.
    Parity,
    /// Parity or ECC in the table walk.
    ParityOnWalk(Level),
    /// Misaligned access.
    Alignment,
    /// Granule protection (RME).
    Granule,
    /// Two TLB entries match.
    TlbConflict,
    /// Hardware update of a descriptor in memory that cannot do it.
    UnsupportedUpdate,
    /// Exclusive or atomic access to memory that cannot do it.
    UnsupportedAtomic,
    /// Any other code.
    Other(u8),
}

impl Fault {
    /// The fault that a code of six bits stands for.
    #[inline]
    pub const fn from_code(code: u8) -> Self {
        let level = (code & 3) as Level;
        match code {
            0x00..=0x03 => Self::AddressSize(level),
            0x04..=0x07 => Self::Translation(level),
            0x08..=0x0b => Self::AccessFlag(level),
            0x0c..=0x0f => Self::Permission(level),
            0x10 => Self::External,
            0x11 => Self::Tag,
            0x13 => Self::ExternalOnWalk(-1),
            0x14..=0x17 => Self::ExternalOnWalk(level),
            0x18 => Self::Parity,
            0x1b => Self::ParityOnWalk(-1),
            0x1c..=0x1f => Self::ParityOnWalk(level),
            0x21 => Self::Alignment,
            0x23..=0x28 => Self::Granule,
            0x29 => Self::AddressSize(-1),
            0x2b => Self::Translation(-1),
            0x30 => Self::TlbConflict,
            0x31 => Self::UnsupportedUpdate,
            0x35 => Self::UnsupportedAtomic,
            other => Self::Other(other),
        }
    }
}

/// The intermediate physical address of a stage 2 fault, from `HPFAR_EL2` (its page) and `FAR_EL2` (the offset).
///
/// In a fault on the guest's table walk the offset is of another address; only the page means something then.
#[inline]
pub const fn ipa(hpfar: u64, far: u64) -> u64 {
    // FIPA is bits [43:4], standing for address bits [51:12].
    ((hpfar & 0x0fff_ffff_fff0) << 8) | (far & 0xfff)
}

/// ISS of the aborts that are injected into a guest.
pub mod iss {
    /// DFSC or IFSC of a synchronous external abort, not on a table walk.
    pub const EXTERNAL_ABORT: u32 = 0x10;
    /// WnR: the abort was of a write.
    pub const WRITE: u32 = 1 << 6;
    /// FnV: the fault address register is not valid.
    pub const FAR_NOT_VALID: u32 = 1 << 10;
}

#[cfg(test)]
mod tests;
