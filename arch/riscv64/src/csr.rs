//! Control and status registers by their manual's names.
//!
//! Reading one has no effect on memory safety; writing most of those that matter here can have, so writes
//! are `unsafe` and each use says why it is sound.

/// Reads a CSR.
macro_rules! get {
    ($name:tt) => {{
        let value: u64;
        // SAFETY: reading a CSR that exists in HS mode has no side effect on memory.
        unsafe { core::arch::asm!(concat!("csrr {}, ", $name), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}

/// Writes a CSR. `unsafe`: the caller says what the value may do.
macro_rules! set {
    ($name:tt, $value:expr) => {{
        let value: u64 = $value;
        core::arch::asm!(concat!("csrw ", $name, ", {}"), in(reg) value, options(nostack, preserves_flags))
    }};
}

/// Sets bits of a CSR.
macro_rules! set_bits {
    ($name:tt, $bits:expr) => {{
        let bits: u64 = $bits;
        core::arch::asm!(concat!("csrs ", $name, ", {}"), in(reg) bits, options(nostack, preserves_flags))
    }};
}

/// Clears bits of a CSR.
macro_rules! clear_bits {
    ($name:tt, $bits:expr) => {{
        let bits: u64 = $bits;
        core::arch::asm!(concat!("csrc ", $name, ", {}"), in(reg) bits, options(nostack, preserves_flags))
    }};
}

/// An instruction that may fault, on `operand` and with a result in `value`; `None` where it did. The fault is made
/// harmless by `traps`, which looks at this CPU's `fixup`.
///
/// `unsafe`: interrupts are masked, and the instruction does no harm.
macro_rules! attempt {
    ($instruction:literal, $operand:expr) => {{
        let operand: u64 = $operand;
        let (value, failed): (u64, u64);
        core::arch::asm!(
            ".option push",
            ".option arch, +h",
            "lla {value}, 2f",
            "sd {value}, {fixup}(tp)",
            "li {failed}, 1",
            $instruction,
            "li {failed}, 0",
            "2:",
            "sd zero, {fixup}(tp)",
            ".option pop",
            operand = in(reg) operand,
            failed = out(reg) failed,
            value = out(reg) value,
            fixup = const core::mem::offset_of!(crate::cpu::PerCpu, fixup),
            options(nostack),
        );
        (failed == 0).then_some(value)
    }};
}

pub(crate) use {attempt, clear_bits, get, set, set_bits};

/// `sstatus` (Priv, "Supervisor Status Register").
pub(crate) mod sstatus {
    /// Interrupts are on.
    pub(crate) const SIE: u64 = 1 << 1;
    /// They are on after SRET.
    pub(crate) const SPIE: u64 = 1 << 5;
    /// The trap came from supervisor mode, and SRET goes there.
    pub(crate) const SPP: u64 = 1 << 8;
    /// State of the vector unit.
    pub(crate) const VS: u64 = 3 << 9;
    /// State of the floating-point unit.
    pub(crate) const FS: u64 = 3 << 13;
    /// FS: as it was loaded.
    pub(crate) const FS_CLEAN: u64 = 2 << 13;
    /// VS: as it was loaded.
    pub(crate) const VS_CLEAN: u64 = 2 << 9;
    /// User mode has 64-bit registers.
    pub(crate) const UXL_64: u64 = 2 << 32;
}

/// `hstatus` (Priv, "Hypervisor Status Register").
pub(crate) mod hstatus {
    /// The trap came from a guest, and SRET goes to one.
    pub(crate) const SPV: u64 = 1 << 7;
    /// HLV and HSV act as the guest's supervisor mode.
    pub(crate) const SPVP: u64 = 1 << 8;
    /// The guest's interrupt file.
    pub(crate) const VGEIN: u64 = 0x3f << VGEIN_SHIFT;
    /// Where its number begins.
    pub(crate) const VGEIN_SHIFT: u32 = 12;
    /// The guest's WFI traps.
    pub(crate) const VTW: u64 = 1 << 21;
    /// VS mode has 64-bit registers.
    pub(crate) const VSXL_64: u64 = 2 << 32;
}

/// Bits of `sie`, `sip`, `hie`, `hip`, `hvip`, `hideleg`.
pub(crate) mod pending {
    /// Software, for us.
    pub(crate) const SSI: u64 = 1 << 1;
    /// Software, for the guest.
    pub(crate) const VSSI: u64 = 1 << 2;
    /// Timer, for us.
    pub(crate) const STI: u64 = 1 << 5;
    /// Timer, for the guest.
    pub(crate) const VSTI: u64 = 1 << 6;
    /// External, for us.
    pub(crate) const SEI: u64 = 1 << 9;
    /// External, for the guest.
    pub(crate) const VSEI: u64 = 1 << 10;
    /// Some guest's interrupt file, for us.
    pub(crate) const SGEI: u64 = 1 << 12;
}
