//! GICv2 (IHI 0048B): the CPU interface, the virtual interface control registers, the virtual CPU interface.

/// The CPU interface (4.4). `GICV`, the virtual one that a guest sees in its place (5.5), has the same registers.
pub mod gicc {
    /// Bytes of the frame.
    pub const SIZE: u64 = 0x2000;
    /// Control.
    pub const CTLR: u64 = 0x00;
    /// Priority mask.
    pub const PMR: u64 = 0x04;
    /// Binary point.
    pub const BPR: u64 = 0x08;
    /// Interrupt acknowledge.
    pub const IAR: u64 = 0x0c;
    /// End of interrupt.
    pub const EOIR: u64 = 0x10;
    /// Running priority.
    pub const RPR: u64 = 0x14;
    /// Highest priority pending interrupt.
    pub const HPPIR: u64 = 0x18;
    /// Aliased binary point.
    pub const ABPR: u64 = 0x1c;
    /// Aliased interrupt acknowledge.
    pub const AIAR: u64 = 0x20;
    /// Aliased end of interrupt.
    pub const AEOIR: u64 = 0x24;
    /// Aliased highest priority pending interrupt.
    pub const AHPPIR: u64 = 0x28;
    /// Active priorities; four registers.
    pub const APR: u64 = 0xd0;
    /// Active priorities, non-secure; four registers.
    pub const NSAPR: u64 = 0xe0;
    /// Identification.
    pub const IIDR: u64 = 0xfc;
    /// Deactivate interrupt.
    pub const DIR: u64 = 0x1000;

    /// Fields of [`CTLR`], as non-secure software sees them, or software of a GIC without security extensions.
    pub mod ctlr {
        /// EnableGrp1 seen by non-secure software, EnableGrp0 without security extensions.
        pub const ENABLE: u32 = 1 << 0;
        /// EnableGrp1 without security extensions.
        pub const ENABLE_GRP1: u32 = 1 << 1;
        /// EOImode, as seen by non-secure software and without security extensions: [`EOIR`](super::EOIR) drops the
        /// priority, [`DIR`](super::DIR) deactivates.
        pub const EOI_MODE: u32 = 1 << 9;
    }

    /// The interrupt number in [`IAR`], [`EOIR`], [`HPPIR`] and [`DIR`].
    pub const INTERRUPT_ID: u32 = 0x3ff;
}

/// The virtual interface control registers (5.3).
pub mod gich {
    /// Hypervisor control.
    pub const HCR: u64 = 0x00;
    /// Type.
    pub const VTR: u64 = 0x04;
    /// Virtual machine control.
    pub const VMCR: u64 = 0x08;
    /// Maintenance interrupt status.
    pub const MISR: u64 = 0x10;
    /// End of interrupt status, one bit per list register; two registers.
    pub const EISR: u64 = 0x20;
    /// Empty list register status, one bit per list register; two registers.
    pub const ELRSR: u64 = 0x30;
    /// Active priorities.
    pub const APR: u64 = 0xf0;
    /// The list registers.
    pub const LR: u64 = 0x100;

    /// How many list registers there are, 1 to 64, from [`VTR`].
    pub const fn list_registers(vtr: u32) -> usize {
        (vtr & 0x3f) as usize + 1
    }

    /// Fields of [`VMCR`], the virtual CPU interface's state.
    pub mod vmcr {
        /// Group 0 enabled.
        pub const GRP0_EN: u32 = 1 << 0;
        /// Group 1 enabled.
        pub const GRP1_EN: u32 = 1 << 1;
        /// EOImode.
        pub const EOI_MODE: u32 = 1 << 9;
        /// The upper five bits of the priority mask, in bits 31:27.
        pub const fn priority_mask(pmr: u8) -> u32 {
            ((pmr >> 3) as u32) << 27
        }
    }
}

/// Fields of `GICH_HCR` and `ICH_HCR_EL2`, which are alike here.
pub mod hcr {
    /// En: the virtual interface works.
    pub const EN: u32 = 1 << 0;
    /// UIE: maintenance interrupt when no list register but one at most is in use.
    pub const UIE: u32 = 1 << 1;
    /// LRENPIE: maintenance interrupt when EOIcount is not zero.
    pub const LRENPIE: u32 = 1 << 2;
    /// NPIE: maintenance interrupt when no list register is pending.
    pub const NPIE: u32 = 1 << 3;
}

/// Fields of `GICH_MISR` and `ICH_MISR_EL2`, which are alike here.
pub mod misr {
    /// EOI: a list register asked to be told of its end.
    pub const EOI: u32 = 1 << 0;
    /// U: no list register but one at most is in use.
    pub const U: u32 = 1 << 1;
    /// LRENP: EOIcount is not zero.
    pub const LRENP: u32 = 1 << 2;
    /// NP: no list register is pending.
    pub const NP: u32 = 1 << 3;
}
