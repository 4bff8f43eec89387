//! System registers and system instructions by encoding and by name (DDI 0487, D23 and D24; C5 for instructions).
use core::fmt;

/// A system register or system instruction: its op0, op1, CRn, CRm and op2.
///
/// Packed as the ISS of a trapped access has them (Op0 \[21:20\], Op2 \[19:17\], Op1 \[16:14\], CRn \[13:10\],
/// CRm \[4:1\]), so that naming the register of a trap costs one mask.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SysReg(u32);

const ISS_FIELDS: u32 = 0x003f_fc1e;

impl SysReg {
    /// The register `S<op0>_<op1>_C<crn>_C<crm>_<op2>`; bits beyond a field's width are dropped.
    pub const fn new(op0: u32, op1: u32, crn: u32, crm: u32, op2: u32) -> Self {
        Self(
            ((op0 & 3) << 20)
                | ((op2 & 7) << 17)
                | ((op1 & 7) << 14)
                | ((crn & 0xf) << 10)
                | ((crm & 0xf) << 1),
        )
    }

    /// The packed fields: what names the register where this type does not reach.
    #[inline]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The register of the ISS of a trapped MSR, MRS or system instruction.
    #[inline]
    pub const fn from_iss(iss: u32) -> Self {
        Self(iss & ISS_FIELDS)
    }

    /// The register of an MSR, MRS, SYS or SYSL instruction.
    pub const fn from_instruction(word: u32) -> Self {
        Self::new(word >> 19, word >> 16, word >> 12, word >> 8, word >> 5)
    }

    /// op0: 1 for system instructions, 2 for debug and trace, 3 for all else.
    pub const fn op0(self) -> u32 {
        self.0 >> 20
    }

    /// op1.
    pub const fn op1(self) -> u32 {
        (self.0 >> 14) & 7
    }

    /// CRn.
    pub const fn crn(self) -> u32 {
        (self.0 >> 10) & 0xf
    }

    /// CRm.
    pub const fn crm(self) -> u32 {
        (self.0 >> 1) & 0xf
    }

    /// op2.
    pub const fn op2(self) -> u32 {
        (self.0 >> 17) & 7
    }

    /// Whether this is the ID space that `HCR_EL2.TID3` traps: op0 3, op1 0, CRn 0, CRm 1 to 7.
    pub const fn is_id(self) -> bool {
        const GROUP: u32 = SysReg::new(3, 7, 15, 0, 0).0;
        self.0 & GROUP == SysReg::new(3, 0, 0, 0, 0).0 && matches!(self.crm(), 1..=7)
    }

    /// `n` of `DBGBVR<n>_EL1`, `DBGBCR<n>_EL1`, `DBGWVR<n>_EL1` or `DBGWCR<n>_EL1`, if it is one of them.
    pub const fn breakpoint(self) -> Option<(Comparator, u32)> {
        if self.op0() != 2 || self.op1() != 0 || self.crn() != 0 {
            return None;
        }
        let which = match self.op2() {
            4 => Comparator::BreakpointValue,
            5 => Comparator::BreakpointControl,
            6 => Comparator::WatchpointValue,
            7 => Comparator::WatchpointControl,
            _ => return None,
        };
        Some((which, self.crm()))
    }

    /// `n` of `PMEVCNTR<n>_EL0` or `PMEVTYPER<n>_EL0`, if it is one of them.
    pub const fn event_counter(self) -> Option<(EventRegister, u32)> {
        if self.op0() != 3 || self.op1() != 3 || self.crn() != 14 {
            return None;
        }
        let n = (self.crm() & 3) * 8 + self.op2();
        match self.crm() >> 2 {
            // Number 31 would be PMCCFILTR_EL0's place.
            2 if n < 31 => Some((EventRegister::Count, n)),
            3 if n < 31 => Some((EventRegister::Type, n)),
            _ => None,
        }
    }

    /// The manual's name, for registers that have one without a number in it and are listed here.
    pub fn name(self) -> Option<&'static str> {
        names::NAMES.iter().find(|(register, _)| *register == self).map(|(_, name)| *name)
    }
}

/// Which of the four registers of a debug comparator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Comparator {
    /// `DBGBVR<n>_EL1`.
    BreakpointValue,
    /// `DBGBCR<n>_EL1`.
    BreakpointControl,
    /// `DBGWVR<n>_EL1`.
    WatchpointValue,
    /// `DBGWCR<n>_EL1`.
    WatchpointControl,
}

/// Which of the two registers of an event counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventRegister {
    /// `PMEVCNTR<n>_EL0`.
    Count,
    /// `PMEVTYPER<n>_EL0`.
    Type,
}

/// The manual's name, or `S<op0>_<op1>_C<crn>_C<crm>_<op2>` as assemblers accept it.
impl fmt::Display for SysReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.name() {
            return f.pad(name);
        }
        if let Some((which, n)) = self.breakpoint() {
            let name = match which {
                Comparator::BreakpointValue => "DBGBVR",
                Comparator::BreakpointControl => "DBGBCR",
                Comparator::WatchpointValue => "DBGWVR",
                Comparator::WatchpointControl => "DBGWCR",
            };
            return write!(f, "{name}{n}_EL1");
        }
        if let Some((which, n)) = self.event_counter() {
            let name = match which {
                EventRegister::Count => "PMEVCNTR",
                EventRegister::Type => "PMEVTYPER",
            };
            return write!(f, "{name}{n}_EL0");
        }
        write!(f, "S{}_{}_C{}_C{}_{}", self.op0(), self.op1(), self.crn(), self.crm(), self.op2())
    }
}

impl fmt::Debug for SysReg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

mod names;

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_fields_come_back_out() {
        for packed in 0..1u32 << 16 {
            let field = |shift: u32, width: u32| (packed >> shift) & ((1 << width) - 1);
            let parts = (field(14, 2), field(11, 3), field(7, 4), field(3, 4), field(0, 3));
            let reg = SysReg::new(parts.0, parts.1, parts.2, parts.3, parts.4);
            assert_eq!((reg.op0(), reg.op1(), reg.crn(), reg.crm(), reg.op2()), parts);
            assert_eq!(SysReg::from_instruction(0xd500_0000 | packed << 5), reg);
            assert_eq!(SysReg::from_iss(reg.0 | 0x3e1), reg, "Rt and Direction are no part of the name");
        }
    }

    #[test]
    fn no_register_has_two_names() {
        for (i, (register, name)) in names::NAMES.iter().enumerate() {
            for (other, second) in &names::NAMES[i + 1..] {
                assert!(register != other && name != second, "{name} and {second}");
            }
        }
    }

    #[test]
    fn unnamed_registers_are_written_as_assemblers_read_them() {
        assert_eq!(SysReg::new(3, 0, 15, 2, 0).to_string(), "S3_0_C15_C2_0");
        assert_eq!(SysReg::ICC_SGI1R_EL1.to_string(), "ICC_SGI1R_EL1");
    }

    #[test]
    fn numbered_registers_are_named_with_their_number() {
        assert_eq!(SysReg::new(2, 0, 0, 3, 5).to_string(), "DBGBCR3_EL1");
        assert_eq!(SysReg::new(2, 0, 0, 15, 6).to_string(), "DBGWVR15_EL1");
        assert_eq!(SysReg::new(3, 3, 14, 9, 2).to_string(), "PMEVCNTR10_EL0");
        assert_eq!(SysReg::new(3, 3, 14, 15, 6).to_string(), "PMEVTYPER30_EL0");
        assert_eq!(SysReg::new(3, 3, 14, 15, 7).to_string(), "PMCCFILTR_EL0");
    }

    #[test]
    fn the_id_space_is_crm_1_to_7() {
        assert!(SysReg::ID_AA64PFR0_EL1.is_id() && SysReg::new(3, 0, 0, 7, 7).is_id());
        assert!(!SysReg::MIDR_EL1.is_id() && !SysReg::new(3, 0, 0, 8, 0).is_id() && !SysReg::CTR_EL0.is_id());
        assert!(!SysReg::SCTLR_EL1.is_id() && !SysReg::new(2, 0, 0, 4, 0).is_id());
    }

    /// Words of `mrs x0, <name>` (and of the system instructions) from an assembler.
    const ASSEMBLED: &[(u32, &str)] = &[
        (0xd5380000, "MIDR_EL1"),
        (0xd5380100, "ID_PFR0_EL1"),
        (0xd5380160, "ID_AFR0_EL1"),
        (0xd53801c0, "ID_MMFR2_EL1"),
        (0xd5380220, "ID_ISAR1_EL1"),
        (0xd5380280, "ID_ISAR4_EL1"),
        (0xd53802e0, "ID_ISAR6_EL1"),
        (0xd5380340, "MVFR2_EL1"),
        (0xd5380400, "ID_AA64PFR0_EL1"),
        (0xd53804a0, "ID_AA64SMFR0_EL1"),
        (0xd5380580, "ID_AA64AFR0_EL1"),
        (0xd5380620, "ID_AA64ISAR1_EL1"),
        (0xd5380720, "ID_AA64MMFR1_EL1"),
        (0xd5390020, "CLIDR_EL1"),
        (0xd53900c0, "SMIDR_EL1"),
        (0xd53b0020, "CTR_EL0"),
        (0xd5381020, "ACTLR_EL1"),
        (0xd53810c0, "GCR_EL1"),
        (0xd5381280, "SMPRI_EL1"),
        (0xd5382020, "TTBR1_EL1"),
        (0xd5382120, "APIAKeyHi_EL1"),
        (0xd5382200, "APDAKeyLo_EL1"),
        (0xd5382260, "APDBKeyHi_EL1"),
        (0xd5384000, "SPSR_EL1"),
        (0xd5385100, "AFSR0_EL1"),
        (0xd5385300, "ERRIDR_EL1"),
        (0xd5385420, "ERXCTLR_EL1"),
        (0xd5385480, "ERXPFGF_EL1"),
        (0xd5385500, "ERXMISC0_EL1"),
        (0xd5385560, "ERXMISC3_EL1"),
        (0xd5386000, "FAR_EL1"),
        (0xd538a300, "AMAIR_EL1"),
        (0xd538a440, "LORN_EL1"),
        (0xd538c000, "VBAR_EL1"),
        (0xd538c100, "ISR_EL1"),
        (0xd538d080, "TPIDR_EL1"),
        (0xd53b2420, "RNDRRS"),
        (0xd53b4240, "SVCR"),
        (0xd53bd040, "TPIDR_EL0"),
        (0xd53bd0e0, "SCXTNUM_EL0"),
        (0xd53bd240, "AMCGCR_EL0"),
        (0xd53bd2a0, "AMCNTENSET0_EL0"),
        (0xd5389960, "PMSIRR_EL1"),
        (0xd53899c0, "PMSLATFR_EL1"),
        (0xd5389a20, "PMBPTR_EL1"),
        (0xd5389b00, "TRBLIMITR_EL1"),
        (0xd5389b60, "TRBSR_EL1"),
        (0xd5389be0, "TRBIDR_EL1"),
        (0xd5389ec0, "PMMIR_EL1"),
        (0xd53b9c40, "PMCNTENCLR_EL0"),
        (0xd53b9ca0, "PMSELR_EL0"),
        (0xd53b9d00, "PMCCNTR_EL0"),
        (0xd53b9e00, "PMUSERENR_EL0"),
        (0xd5384600, "ICC_PMR_EL1"),
        (0xd538c840, "ICC_HPPIR0_EL1"),
        (0xd538c8a0, "ICC_AP0R1_EL1"),
        (0xd538c900, "ICC_AP1R0_EL1"),
        (0xd538c960, "ICC_AP1R3_EL1"),
        (0xd518cba0, "ICC_SGI1R_EL1"),
        (0xd538cc00, "ICC_IAR1_EL1"),
        (0xd538cc60, "ICC_BPR1_EL1"),
        (0xd538ccc0, "ICC_IGRPEN0_EL1"),
        (0xd53be000, "CNTFRQ_EL0"),
        (0xd53be0a0, "CNTPCTSS_EL0"),
        (0xd53be220, "CNTP_CTL_EL0"),
        (0xd53be320, "CNTV_CTL_EL0"),
        (0xd53ce0c0, "CNTPOFF_EL2"),
        (0xd53fe220, "CNTPS_CTL_EL1"),
        (0xd5300200, "MDCCINT_EL1"),
        (0xd5300640, "OSECCR_EL1"),
        (0xd5301180, "OSLSR_EL1"),
        (0xd53078c0, "DBGCLAIMSET_EL1"),
        (0xd5330100, "MDCCSR_EL0"),
        (0xd53c0000, "VPIDR_EL2"),
        (0xd53c1020, "ACTLR_EL2"),
        (0xd53c1140, "CPTR_EL2"),
        (0xd53c2000, "TTBR0_EL2"),
        (0xd53c2140, "VTCR_EL2"),
        (0xd53c4100, "SP_EL1"),
        (0xd53c6080, "HPFAR_EL2"),
        (0xd5087620, "DC_IVAC"),
        (0xd50876c0, "DC_IGDSW"),
        (0xd5087ac0, "DC_CGDSW"),
        (0xd5087ec0, "DC_CIGDSW"),
        (0xd50b7b20, "DC_CVAU"),
        (0xd50b7e20, "DC_CIVAC"),
        (0xd50b7520, "IC_IVAU"),
        (0xd5087840, "AT_S1E0R"),
        (0xd5087920, "AT_S1E1WP"),
    ];

    #[test]
    fn names_and_encodings_are_an_assemblers() {
        for &(word, name) in ASSEMBLED {
            assert_eq!(SysReg::from_instruction(word).to_string(), name, "{word:#010x}");
        }
    }
}
