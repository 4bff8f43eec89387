//! The policy: which fields of which register a guest sees. Each line is a field by the manual's name, its lowest bit
//! and its rule; what is left out, and why where it is not plain, stands in a comment.
use super::{Field, Rule};
use crate::sysreg::SysReg;
use Rule::{Always, AtMost, El0, GicV3, Keep, Mte, PaRange, Pauth, Pmu, Sve};

macro_rules! fields {
    ($($(#[$doc:meta])* $table:ident: $($name:ident $shift:literal $rule:expr,)*;)*) => {
        $($(#[$doc])* const $table: &[Field] = &[
            // The field's name is for the reader alone.
            $(Field { shift: $shift, rule: $rule },)*
        ];)*
    };
}

/// Whether the register describes AArch32: meaningless, and zero, for a guest without it.
pub(super) const fn is_aarch32(register: SysReg) -> bool {
    register.is_id() && register.crm() < 4
}

/// The fields of `register` that a guest sees.
pub(super) const fn fields(register: SysReg) -> &'static [Field] {
    match register {
        SysReg::ID_AA64PFR0_EL1 => AA64PFR0,
        SysReg::ID_AA64PFR1_EL1 => AA64PFR1,
        SysReg::ID_AA64ZFR0_EL1 => AA64ZFR0,
        SysReg::ID_AA64DFR0_EL1 => AA64DFR0,
        SysReg::ID_AA64ISAR0_EL1 => AA64ISAR0,
        SysReg::ID_AA64ISAR1_EL1 => AA64ISAR1,
        SysReg::ID_AA64ISAR2_EL1 => AA64ISAR2,
        SysReg::ID_AA64ISAR3_EL1 => AA64ISAR3,
        SysReg::ID_AA64MMFR0_EL1 => AA64MMFR0,
        SysReg::ID_AA64MMFR1_EL1 => AA64MMFR1,
        SysReg::ID_AA64MMFR2_EL1 => AA64MMFR2,
        SysReg::ID_AA64MMFR3_EL1 => AA64MMFR3,
        SysReg::ID_PFR0_EL1 => PFR0,
        SysReg::ID_PFR1_EL1 => PFR1,
        SysReg::ID_PFR2_EL1 => PFR2,
        SysReg::ID_DFR0_EL1 => DFR0,
        SysReg::ID_MMFR4_EL1 => MMFR4,
        SysReg::ID_MMFR5_EL1 => MMFR5,
        SysReg::ID_MMFR0_EL1
        | SysReg::ID_MMFR1_EL1
        | SysReg::ID_MMFR2_EL1
        | SysReg::ID_MMFR3_EL1
        | SysReg::ID_ISAR0_EL1
        | SysReg::ID_ISAR1_EL1
        | SysReg::ID_ISAR2_EL1
        | SysReg::ID_ISAR3_EL1
        | SysReg::ID_ISAR4_EL1
        | SysReg::ID_ISAR5_EL1
        | SysReg::ID_ISAR6_EL1
        | SysReg::MVFR0_EL1
        | SysReg::MVFR1_EL1
        | SysReg::MVFR2_EL1 => WHOLE32,
        _ => &[],
    }
}

fields! {
    /// Hidden: EL2, EL3, RAS (its error records are the host's), SEL2, MPAM, AMU, RME.
    /// CSV2 stops at 1, since 2 promises `SCXTNUM_ELx`, which a guest does not have.
    AA64PFR0:
        EL0 0 El0, EL1 4 Always(1), FP 16 Keep, AdvSIMD 20 Keep, GIC 24 GicV3, SVE 32 Sve, DIT 48 Keep,
        CSV2 56 AtMost(1), CSV3 60 Keep,;

    /// Hidden: RAS_frac, MPAM_frac, SME, RNDR_trap, NMI, GCS, THE, DF2, PFAR.
    /// CSV2_frac stops at 1 for the reason for which CSV2 does.
    AA64PFR1:
        BT 0 Keep, SSBS 4 Keep, MTE 8 Mte, CSV2_frac 32 AtMost(1), MTE_frac 40 Mte, MTEX 52 Mte,;

    AA64ZFR0:
        SVEver 0 Sve, AES 4 Sve, BitPerm 16 Sve, BF16 20 Sve, B16B16 24 Sve, SHA3 32 Sve, SM4 40 Sve, I8MM 44 Sve,
        F32MM 52 Sve, F64MM 56 Sve,;

    /// Debug as small as the architecture allows: version 8.0, two breakpoints, two watchpoints, one of them
    /// context-aware, no double lock. Hidden: TraceVer, PMSS, SEBEP, PMSVer (SPE), TraceFilt, TraceBuffer, MTPMU, BRBE,
    /// ExtTrcBuff, HPMN0.
    AA64DFR0:
        DebugVer 0 Always(6), PMUVer 8 Pmu, BRPs 12 Always(1), WRPs 20 Always(1), DoubleLock 36 Always(15),;

    /// Hidden: TME, which would need more than an ID bit.
    AA64ISAR0:
        AES 4 Keep, SHA1 8 Keep, SHA2 12 Keep, CRC32 16 Keep, Atomic 20 Keep, RDM 28 Keep, SHA3 32 Keep, SM3 36 Keep,
        SM4 40 Keep, DP 44 Keep, FHM 48 Keep, TS 52 Keep, TLB 56 Keep, RNDR 60 Keep,;

    /// Hidden: LS64, which EL2 would have to enable (`HCRX_EL2`).
    AA64ISAR1:
        DPB 0 Keep, APA 4 Pauth, API 8 Pauth, JSCVT 12 Keep, FCMA 16 Keep, LRCPC 20 Keep, GPA 24 Pauth, GPI 28 Pauth,
        FRINTTS 32 Keep, SB 36 Keep, SPECRES 40 Keep, BF16 44 Keep, DGH 48 Keep, I8MM 52 Keep, XS 56 Keep,;

    /// Hidden: WFxT (a trapped WFIT would have to end by itself), MOPS (`HCRX_EL2.MSCEn`), SYSREG_128, SYSINSTR_128,
    /// PRFMSLC, ATS1A.
    AA64ISAR2:
        RPRES 4 Keep, GPA3 8 Pauth, APA3 12 Pauth, BC 20 Keep, PAC_frac 24 Pauth, CLRBHB 28 Keep, RPRFM 48 Keep,
        CSSC 52 Keep, LUT 56 Keep,;

    /// Hidden: CPA (`SCTLR2_EL1`), TLBIW, PACM, OCCMO, LSUI.
    AA64ISAR3:
        FAMINMAX 4 Keep, LSFE 16 Keep, FPRCVT 28 Keep,;

    /// Hidden: SNSMem (there is no Secure state), TGran16_2, TGran64_2 and TGran4_2 (stage 2), FGT, ECV.
    AA64MMFR0:
        PARange 0 PaRange, ASIDBits 4 Keep, BigEnd 8 Keep, BigEndEL0 16 Keep, TGran16 20 Keep, TGran64 24 Keep,
        TGran4 28 Keep, ExS 44 Keep,;

    /// Hidden: VMIDBits, VH, LO, SpecSEI, XNX, TWED, HCX, TIDCP1, CMOW. HAFDBS stops at 2: more needs `TCR2_EL1`.
    AA64MMFR1:
        HAFDBS 0 AtMost(2), HPDS 12 Keep, PAN 20 Keep, ETS 36 Keep, AFP 44 Keep, nTLBPA 48 Keep, ECBHB 60 Keep,;

    /// Hidden: IESB (RAS), NV, FWB, EVT. IDS is kept because it says how this processor reports, whatever is hidden.
    AA64MMFR2:
        CnP 0 Keep, UAO 4 Keep, LSM 8 Keep, VARange 16 Keep, CCIDX 20 Keep, ST 28 Keep, AT 32 Keep, IDS 36 Keep,
        TTL 48 Keep, BBM 52 Keep, E0PD 60 Keep,;

    /// Hidden: all that needs `TCR2_EL1`, `SCTLR2_EL1` or `PIR_EL1`, which are EL2's to enable (`HCRX_EL2`).
    AA64MMFR3:
        Spec_FPACC 60 Pauth,;

    /// Hidden: AMU, RAS.
    PFR0:
        State0 0 Keep, State1 4 Keep, State2 8 Keep, State3 12 Keep, CSV2 16 AtMost(1), DIT 24 Keep,;

    /// Hidden: ProgMod, Security, MProgMod, Virtualization and their fractions: EL1 is not AArch32.
    PFR1:
        GenTimer 16 Keep, GIC 28 GicV3,;

    /// Hidden: RAS_frac.
    PFR2:
        CSV3 0 Keep, SSBS 4 Keep,;

    /// Hidden: CopSDbg, trace, MProfDbg.
    DFR0:
        CopDbg 0 Always(6), PerfMon 24 Pmu,;

    /// Hidden: SpecSEI, EVT.
    MMFR4:
        AC2 4 Keep, XNX 8 Always(0), CnP 12 Keep, HPDS 16 Keep, LSM 20 Keep, CCIDX 24 Keep,;

    MMFR5:
        ETS 0 Keep, nTLBPA 4 Keep,;

    /// The 32-bit registers in which nothing is to be hidden.
    WHOLE32:
        F0 0 Keep, F1 4 Keep, F2 8 Keep, F3 12 Keep, F4 16 Keep, F5 20 Keep, F6 24 Keep, F7 28 Keep,;
}
