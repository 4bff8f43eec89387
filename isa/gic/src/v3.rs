//! GICv3 (IHI 0069): affinities, the redistributor, and fields of the CPU interface's system registers. What
//! `ICH_HCR_EL2` and `ICH_MISR_EL2` share with version 2 is in [`crate::v2`].

/// A CPU's affinity, Aff3 to Aff0, packed as `GICR_TYPER` has it: eight bits each, Aff0 lowest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Affinity(u32);

impl Affinity {
    /// Packed Aff3, Aff2, Aff1 and Aff0.
    pub const fn new(packed: u32) -> Self {
        Self(packed)
    }

    /// Of an `MPIDR_EL1`, or of a `reg` of a CPU in a device tree.
    #[inline]
    pub const fn from_mpidr(mpidr: u64) -> Self {
        Self((mpidr as u32 & 0xff_ffff) | ((mpidr >> 8) as u32 & 0xff00_0000))
    }

    /// Packed Aff3, Aff2, Aff1 and Aff0.
    pub const fn packed(self) -> u32 {
        self.0
    }

    /// As in `MPIDR_EL1` and `GICD_IROUTER<n>`: Aff3 in bits 39:32.
    pub const fn mpidr(self) -> u64 {
        ((self.0 as u64 & 0xff00_0000) << 8) | (self.0 as u64 & 0xff_ffff)
    }

    /// Aff0.
    pub const fn aff0(self) -> u32 {
        self.0 & 0xff
    }
}

/// `GICD_IROUTER<n>` (12.9.22).
pub mod irouter {
    /// Interrupt_Routing_Mode: any CPU will do.
    pub const ANY: u64 = 1 << 31;
    /// The bits that hold an affinity.
    pub const AFFINITY: u64 = 0xff_00ff_ffff;
}

/// The redistributor (12.10, 12.11): two frames of 64 KiB, or four with GICv4's virtual LPIs.
pub mod gicr {
    /// Bytes of a frame.
    pub const FRAME: u64 = 0x1_0000;

    /// Control.
    pub const CTLR: u64 = 0x00;
    /// Identification.
    pub const IIDR: u64 = 0x04;
    /// Type, 64 bits.
    pub const TYPER: u64 = 0x08;
    /// Error status.
    pub const STATUSR: u64 = 0x10;
    /// Wake.
    pub const WAKER: u64 = 0x14;
    /// LPI properties, 64 bits.
    pub const PROPBASER: u64 = 0x70;
    /// LPI pending table, 64 bits.
    pub const PENDBASER: u64 = 0x78;

    /// The second frame, of SGIs and PPIs. The registers in it have the distributor's offsets from here on.
    pub const SGI_BASE: u64 = FRAME;

    /// Fields of [`CTLR`].
    pub mod ctlr {
        /// LPIs are enabled.
        pub const ENABLE_LPIS: u32 = 1 << 0;
        /// A write has not taken effect everywhere.
        pub const RWP: u32 = 1 << 3;
    }

    /// Fields of [`WAKER`].
    pub mod waker {
        /// The CPU is to sleep; interrupts wake it through the power controller.
        pub const PROCESSOR_SLEEP: u32 = 1 << 1;
        /// The CPU's interface is quiet.
        pub const CHILDREN_ASLEEP: u32 = 1 << 2;
    }

    /// Fields of [`TYPER`].
    pub mod typer {
        use super::super::Affinity;

        /// Physical LPIs.
        pub const PLPIS: u64 = 1 << 0;
        /// Virtual LPIs.
        pub const VLPIS: u64 = 1 << 1;
        /// The last redistributor of its region.
        pub const LAST: u64 = 1 << 4;

        /// Whose redistributor this is.
        pub const fn affinity(typer: u64) -> Affinity {
            Affinity::new((typer >> 32) as u32)
        }

        /// Affinity and Processor_Number.
        pub const fn compose(affinity: Affinity, processor: u16) -> u64 {
            ((affinity.packed() as u64) << 32) | ((processor as u64) << 8)
        }

        /// Bytes from this redistributor to the next.
        pub const fn stride(typer: u64) -> u64 {
            if typer & VLPIS != 0 { 4 * super::FRAME } else { 2 * super::FRAME }
        }
    }
}

/// The target CPUs of an SGI sent through `ICC_SGI1R_EL1`, `ICC_ASGI1R_EL1` or `ICC_SGI0R_EL1` (12.2.19).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SgiTargets {
    /// All but the one that asks (IRM).
    Others,
    /// The CPUs whose Aff3 to Aff1 are those of `cluster`, and whose Aff0 is `first` and as much as the number of a bit
    /// in `mask` more.
    List {
        /// Aff3 to Aff1; its Aff0 is zero.
        cluster: Affinity,
        /// RS times 16.
        first: u8,
        /// TargetList.
        mask: u16,
    },
}

impl SgiTargets {
    /// Just this CPU.
    pub const fn one(cpu: Affinity) -> Self {
        let cluster = Affinity::new(cpu.packed() & !0xff);
        Self::List { cluster, first: (cpu.aff0() & 0xf0) as u8, mask: 1 << (cpu.aff0() & 0xf) }
    }

    /// Whether a CPU other than the one that asks is meant, or, with a list, any CPU.
    pub const fn contains(self, cpu: Affinity) -> bool {
        match self {
            Self::Others => true,
            Self::List { cluster, first, mask } => {
                cpu.packed() & !0xff == cluster.packed()
                    && cpu.aff0() & 0xf0 == first as u32
                    && mask & (1 << (cpu.aff0() & 0xf)) != 0
            }
        }
    }
}

/// The targets and the number (0 to 15) of an SGI register's value.
pub const fn decode_sgi(value: u64) -> (SgiTargets, u32) {
    let number = (value >> 24) as u32 & 0xf;
    if value & (1 << 40) != 0 {
        return (SgiTargets::Others, number);
    }
    let aff1 = (value >> 16) as u32 & 0xff;
    let aff2 = (value >> 32) as u32 & 0xff;
    let aff3 = (value >> 48) as u32 & 0xff;
    let cluster = Affinity::new(aff3 << 24 | aff2 << 16 | aff1 << 8);
    let first = ((value >> 44) & 0xf) as u8 * 16;
    (SgiTargets::List { cluster, first, mask: value as u16 }, number)
}

/// The value that sends SGI `n` to the targets.
pub const fn encode_sgi(targets: SgiTargets, n: u32) -> u64 {
    let number = (n as u64 & 0xf) << 24;
    match targets {
        SgiTargets::Others => 1 << 40 | number,
        SgiTargets::List { cluster, first, mask } => {
            let packed = cluster.packed() as u64;
            (packed >> 24) << 48
                | (first as u64 / 16) << 44
                | ((packed >> 16) & 0xff) << 32
                | ((packed >> 8) & 0xff) << 16
                | number
                | mask as u64
        }
    }
}

/// Fields of the CPU interface's system registers.
pub mod icc {
    /// `ICC_SRE_ELx.SRE`: the system registers are used.
    pub const SRE: u64 = 1 << 0;
    /// `ICC_SRE_ELx.DFB`: no FIQ bypass.
    pub const SRE_DFB: u64 = 1 << 1;
    /// `ICC_SRE_ELx.DIB`: no IRQ bypass.
    pub const SRE_DIB: u64 = 1 << 2;
    /// `ICC_SRE_EL2.Enable`: EL1 may use its own `ICC_SRE_EL1`.
    pub const SRE_ENABLE: u64 = 1 << 3;
    /// `ICC_CTLR_EL1.EOImode`: EOIR drops the priority, DIR deactivates.
    pub const CTLR_EOI_MODE: u64 = 1 << 1;
    /// The interrupt number in IAR, EOIR, HPPIR and DIR.
    pub const INTID: u64 = 0xff_ffff;
}

/// Fields of the virtualization system registers.
pub mod ich {
    /// `ICH_HCR_EL2.TC`: trap what both groups share.
    pub const HCR_TC: u64 = 1 << 10;
    /// `ICH_HCR_EL2.TALL0`: trap group 0's registers.
    pub const HCR_TALL0: u64 = 1 << 11;
    /// `ICH_HCR_EL2.TALL1`: trap group 1's registers.
    pub const HCR_TALL1: u64 = 1 << 12;
    /// `ICH_HCR_EL2.TDIR`: trap `ICC_DIR_EL1`.
    pub const HCR_TDIR: u64 = 1 << 14;

    /// `ICH_VTR_EL2.ListRegs`: how many list registers there are, 1 to 16 in practice.
    pub const fn list_registers(vtr: u64) -> usize {
        (vtr & 0x1f) as usize + 1
    }

    /// `ICH_VMCR_EL2`, the virtual CPU interface's state.
    pub mod vmcr {
        /// VENG0: group 0 enabled.
        pub const ENG0: u64 = 1 << 0;
        /// VENG1: group 1 enabled.
        pub const ENG1: u64 = 1 << 1;
        /// VFIQEn: group 0 is signalled as FIQ; always so with system registers.
        pub const FIQ_EN: u64 = 1 << 3;
        /// VCBPR: one binary point for both groups.
        pub const CBPR: u64 = 1 << 4;
        /// VEOIM: EOImode.
        pub const EOIM: u64 = 1 << 9;
        /// VPMR, the priority mask.
        pub const fn priority_mask(pmr: u8) -> u64 {
            (pmr as u64) << 24
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_affinity_survives_its_registers() {
        let affinity = Affinity::from_mpidr(0x12_c134_5678);
        assert_eq!(affinity.packed(), 0x1234_5678);
        assert_eq!(affinity.mpidr(), 0x12_0034_5678);
        assert_eq!(gicr::typer::affinity(gicr::typer::compose(affinity, 7)), affinity);
    }

    #[test]
    fn an_sgi_survives_its_register() {
        let cpu = Affinity::new(0x0403_0225);
        let value = encode_sgi(SgiTargets::one(cpu), 11);
        // Aff3 4, RS 2, Aff2 3, INTID 11, Aff1 2, TargetList bit 5.
        assert_eq!(value, 0x0004_2003_0b02_0020);
        let (targets, number) = decode_sgi(value);
        assert_eq!((targets, number), (SgiTargets::one(cpu), 11));
        assert!(targets.contains(cpu) && !targets.contains(Affinity::new(0x0403_0224)));
        assert!(
            !targets.contains(Affinity::new(0x0403_0325)) && !targets.contains(Affinity::new(0x0403_0235))
        );
        assert_eq!(decode_sgi(encode_sgi(SgiTargets::Others, 3)), (SgiTargets::Others, 3));
    }

    #[test]
    fn every_value_that_a_guest_writes_decodes() {
        let mut value = 0x0123_4567_89ab_cdefu64;
        for _ in 0..10_000 {
            value ^= value << 13;
            value ^= value >> 7;
            value ^= value << 17;
            let (targets, number) = decode_sgi(value);
            assert!(number < 16);
            assert_eq!(decode_sgi(encode_sgi(targets, number)), (targets, number));
        }
    }
}
