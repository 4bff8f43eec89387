//! What a guest is told of the processor: a policy over the fields of the ID registers (DDI 0487, D24.2, `ID_*`).
//!
//! What the guest is told is what it can use. A field that is not listed here reads as zero, which for every field of
//! the ID space but a few signed ones means "not there"; so what future processors add stays hidden until somebody has
//! thought about it, and an ID register that does not exist yet reads as zero, as the manual wants.
use crate::sysreg::SysReg;

mod table;

/// What a guest may use of the features that cost the hypervisor something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct GuestFeatures {
    /// Its GIC has the system register interface of GICv3.
    pub gic_v3: bool,
    /// Pointer authentication, its keys switched with the guest.
    pub pauth: bool,
    /// SVE, its state switched with the guest.
    pub sve: bool,
    /// Memory tagging, with tags in the guest's memory.
    pub mte: bool,
    /// The performance monitors, switched with the guest.
    pub pmu: bool,
    /// AArch32 at EL0. Where the host has it (`ID_AA64PFR0_EL1.EL0` = 2) nothing stops a guest from using it, so this
    /// should be what the host says.
    pub aarch32_el0: bool,
    /// The largest `ID_AA64MMFR0_EL1.PARange` that stage 2 can map, as encoded in that field.
    pub pa_range: u8,
}

/// What a guest finds in a field, given what the host has there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// What the host has.
    Keep,
    /// What the host has, but no more than this; for unsigned fields.
    AtMost(u8),
    /// This.
    Always(u8),
    /// 1 with GICv3's system registers.
    GicV3,
    /// The host's, if the guest may use pointer authentication.
    Pauth,
    /// The host's, if the guest may use SVE.
    Sve,
    /// The host's, if the guest may use memory tagging.
    Mte,
    /// The host's, if the guest may use the performance monitors and the host's are the architecture's.
    Pmu,
    /// 2 (both widths) with AArch32 at EL0, or else 1.
    El0,
    /// The host's, but no more than stage 2 can map.
    PaRange,
}

/// Four bits of an ID register.
struct Field {
    /// The field's lowest bit.
    shift: u32,
    rule: Rule,
}

impl Rule {
    const fn apply(&self, host: u64, guest: &GuestFeatures) -> u64 {
        const fn only_if(allowed: bool, value: u64) -> u64 {
            if allowed { value } else { 0 }
        }
        const fn at_most(limit: u8, value: u64) -> u64 {
            if value < limit as u64 { value } else { limit as u64 }
        }
        match *self {
            Self::Keep => host,
            Self::AtMost(limit) => at_most(limit, host),
            Self::Always(value) => value as u64,
            Self::GicV3 => guest.gic_v3 as u64,
            Self::Pauth => only_if(guest.pauth, host),
            Self::Sve => only_if(guest.sve, host),
            Self::Mte => only_if(guest.mte, host),
            // 15 says "performance monitors of the implementation's own kind".
            Self::Pmu => only_if(guest.pmu && host != 15, host),
            Self::El0 => 1 + guest.aarch32_el0 as u64,
            Self::PaRange => at_most(guest.pa_range, host),
        }
    }
}

/// What a guest with `features` reads from `register` where the host reads `host_value`.
///
/// Meant for the ID space ([`SysReg::is_id`]); whatever the policy does not know reads as zero.
pub fn id_policy(register: SysReg, host_value: u64, features: &GuestFeatures) -> u64 {
    if table::is_aarch32(register) && !features.aarch32_el0 {
        return 0;
    }
    table::fields(register).iter().fold(0, |value, field| {
        let host = (host_value >> field.shift) & 0xf;
        value | (field.rule.apply(host, features) & 0xf) << field.shift
    })
}

/// What a guest may be told that runs now on one CPU and now on another, where it would read `one` on the first and
/// `other` on the second, both by [`id_policy`]: what both have.
pub fn id_common(register: SysReg, one: u64, other: u64) -> u64 {
    table::fields(register).iter().fold(0, |value, field| {
        let of = |register: u64| register >> field.shift & 0xf;
        value | common_field(register, field, of(one), of(other)) << field.shift
    })
}

fn common_field(register: SysReg, field: &Field, one: u64, other: u64) -> u64 {
    // Which of several algorithms signs a pointer is no more or less: signed here, it could not be checked there.
    if field.rule == Rule::Pauth {
        return if one == other { one } else { 0 };
    }
    // Fields with a sign have 15 for "not there" and 0 for the least (D24.1.3, "Principles of the ID scheme").
    const SIGNED: &[(SysReg, u32)] = &[
        (SysReg::ID_AA64PFR0_EL1, 16),  // FP
        (SysReg::ID_AA64PFR0_EL1, 20),  // AdvSIMD
        (SysReg::ID_AA64DFR0_EL1, 36),  // DoubleLock
        (SysReg::ID_AA64MMFR0_EL1, 24), // TGran64
        (SysReg::ID_AA64MMFR0_EL1, 28), // TGran4
        (SysReg::ID_MMFR0_EL1, 12),     // OuterShr
        (SysReg::ID_MMFR0_EL1, 28),     // InnerShr
    ];
    let absent = |value| value == 15 && SIGNED.contains(&(register, field.shift));
    if absent(one) || absent(other) { 15 } else { one.min(other) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: GuestFeatures = GuestFeatures {
        gic_v3: true,
        pauth: true,
        sve: true,
        mte: true,
        pmu: true,
        aarch32_el0: true,
        pa_range: 5,
    };
    const LEAST: GuestFeatures = GuestFeatures {
        gic_v3: false,
        pauth: false,
        sve: false,
        mte: false,
        pmu: false,
        aarch32_el0: false,
        pa_range: 2,
    };

    fn field(register: SysReg, host: u64, features: &GuestFeatures, shift: u32) -> u64 {
        (id_policy(register, host, features) >> shift) & 0xf
    }

    #[test]
    fn a_guest_has_no_el2_and_no_el3() {
        let pfr0 = id_policy(SysReg::ID_AA64PFR0_EL1, 0x1201_1111_2322_2222, &ALL);
        assert_eq!(pfr0, 0x1101_0001_0122_0012, "CSV2 without SCXTNUM, DIT, SVE, GIC, FP, EL1, EL0");
        let pfr0 = id_policy(SysReg::ID_AA64PFR0_EL1, 0x1201_1111_2322_2222, &LEAST);
        assert_eq!(pfr0, 0x1101_0000_0022_0011);
    }

    #[test]
    fn fields_of_the_cortex_a72_that_linux_needs_survive() {
        // The host values have the fields of a Cortex-A72 with the cryptographic extension.
        assert_eq!(id_policy(SysReg::ID_AA64ISAR0_EL1, 0x0001_1120, &LEAST), 0x0001_1120);
        assert_eq!(id_policy(SysReg::ID_AA64MMFR0_EL1, 0x0000_1124, &ALL), 0x0000_0124);
        assert_eq!(id_policy(SysReg::ID_AA64DFR0_EL1, 0x1030_5106, &LEAST), 0xf0_0010_1006);
        assert_eq!(id_policy(SysReg::ID_ISAR5_EL1, 0x0001_1121, &ALL), 0x0001_1121);
        assert_eq!(
            id_policy(SysReg::ID_ISAR5_EL1, 0x0001_1121, &LEAST),
            0,
            "no AArch32, no AArch32 features"
        );
    }

    #[test]
    fn optional_features_show_only_where_given() {
        for (register, shift) in [
            (SysReg::ID_AA64PFR0_EL1, 32),
            (SysReg::ID_AA64PFR1_EL1, 8),
            (SysReg::ID_AA64DFR0_EL1, 8),
            (SysReg::ID_AA64ISAR1_EL1, 4),
            (SysReg::ID_AA64ISAR1_EL1, 28),
            (SysReg::ID_AA64ISAR2_EL1, 12),
            (SysReg::ID_AA64ZFR0_EL1, 0),
        ] {
            let host = 0x1111_1111_1111_1111;
            assert_eq!(field(register, host, &ALL, shift), 1, "{register} {shift}");
            assert_eq!(field(register, host, &LEAST, shift), 0, "{register} {shift}");
        }
        assert_eq!(field(SysReg::ID_AA64DFR0_EL1, 0xf00, &ALL, 8), 0, "a PMU of no architecture");
    }

    #[test]
    fn what_two_processors_have_in_common_is_the_less_of_each_field() {
        // ISAR0 of a Cortex-A72 (AES 2, SHA1, SHA2, CRC32) and of a Cortex-A76 (besides: atomics, RDM, DP).
        let (a72, a76) = (0x0001_1120, 0x0000_1000_1021_1120);
        assert_eq!(id_common(SysReg::ID_AA64ISAR0_EL1, a72, a76), a72);
        assert_eq!(id_common(SysReg::ID_AA64ISAR0_EL1, a76, a72), a72);
        // Each has something that the other lacks.
        assert_eq!(id_common(SysReg::ID_AA64ISAR0_EL1, 0x20, 0x0001_0010), 0x10);
        // PARange 44 and 40 bits; no 16 KiB granule on one; the 64 KiB granule missing (15) on the other.
        assert_eq!(id_common(SysReg::ID_AA64MMFR0_EL1, 0x0010_0004, 0x0f00_0002), 0x0f00_0002);
        // No floating point on one, half precision on the other.
        assert_eq!(id_common(SysReg::ID_AA64PFR0_EL1, 0x00ff_0011, 0x0011_0011), 0x00ff_0011);
        assert_eq!(id_common(SysReg::ID_AA64PFR0_EL1, 0x0011_0011, 0x0000_0011), 0x0000_0011);
        // AArch32 programs run on one alone.
        assert_eq!(id_common(SysReg::ID_AA64PFR0_EL1, 0x12, 0x11), 0x11);
        assert_eq!(id_common(SysReg::ID_ISAR5_EL1, 0x0001_1121, 0), 0);
    }

    #[test]
    fn pointers_are_signed_only_if_all_processors_sign_them_alike() {
        let register = SysReg::ID_AA64ISAR1_EL1;
        assert_eq!(id_common(register, 0x0100_0010, 0x0100_0010), 0x0100_0010);
        assert_eq!(id_common(register, 0x0100_0010, 0x1000_0100), 0, "QARMA5 and the implementation's own");
        assert_eq!(id_common(register, 0x10, 0x30), 0, "PAuth and PAuth2");
        assert_eq!(id_common(register, 0x10, 0), 0);
    }

    #[test]
    fn a_processor_has_in_common_with_itself_all_that_guests_see() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for crm in 1..8 {
            for op2 in 0..8 {
                let register = SysReg::new(3, 0, 0, crm, op2);
                for _ in 0..50 {
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let one = id_policy(register, seed, &ALL);
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    let other = id_policy(register, seed, &ALL);
                    assert_eq!(id_common(register, one, one), one, "{register}");
                    let common = id_common(register, one, other);
                    assert_eq!(common, id_common(register, other, one), "{register}");
                    assert_eq!(common, id_common(register, common, other), "{register}");
                }
            }
        }
    }

    #[test]
    fn physical_addresses_are_no_wider_than_stage_2() {
        assert_eq!(field(SysReg::ID_AA64MMFR0_EL1, 6, &ALL, 0), 5);
        assert_eq!(field(SysReg::ID_AA64MMFR0_EL1, 1, &ALL, 0), 1);
    }

    #[test]
    fn unknown_registers_read_as_zero() {
        for crm in 1..8 {
            for op2 in 0..8 {
                let register = SysReg::new(3, 0, 0, crm, op2);
                if register.name().is_none() {
                    assert_eq!(id_policy(register, u64::MAX, &ALL), 0);
                }
            }
        }
        assert_eq!(id_policy(SysReg::MIDR_EL1, u64::MAX, &ALL), 0);
    }

    #[test]
    fn virtualization_extensions_are_hidden_whatever_the_host_has() {
        for (register, shift) in [
            (SysReg::ID_AA64PFR0_EL1, 8),   // EL2
            (SysReg::ID_AA64PFR0_EL1, 12),  // EL3
            (SysReg::ID_AA64PFR0_EL1, 28),  // RAS
            (SysReg::ID_AA64PFR0_EL1, 40),  // MPAM
            (SysReg::ID_AA64PFR0_EL1, 44),  // AMU
            (SysReg::ID_AA64PFR0_EL1, 52),  // RME
            (SysReg::ID_AA64PFR1_EL1, 24),  // SME
            (SysReg::ID_AA64DFR0_EL1, 4),   // TraceVer
            (SysReg::ID_AA64DFR0_EL1, 32),  // PMSVer
            (SysReg::ID_AA64DFR0_EL1, 44),  // TraceBuffer
            (SysReg::ID_AA64MMFR0_EL1, 56), // FGT
            (SysReg::ID_AA64MMFR0_EL1, 60), // ECV
            (SysReg::ID_AA64MMFR1_EL1, 4),  // VMIDBits
            (SysReg::ID_AA64MMFR1_EL1, 8),  // VH
            (SysReg::ID_AA64MMFR1_EL1, 16), // LO
            (SysReg::ID_AA64MMFR1_EL1, 32), // TWED
            (SysReg::ID_AA64MMFR1_EL1, 40), // HCX
            (SysReg::ID_AA64MMFR2_EL1, 24), // NV
            (SysReg::ID_AA64MMFR2_EL1, 40), // FWB
        ] {
            assert_eq!(field(register, u64::MAX, &ALL, shift), 0, "{register} {shift}");
        }
    }

    #[test]
    fn fields_are_four_bits_in_ascending_order() {
        for crm in 1..8 {
            for op2 in 0..8 {
                let register = SysReg::new(3, 0, 0, crm, op2);
                let fields = table::fields(register);
                assert!(fields.iter().all(|field| field.shift % 4 == 0 && field.shift < 64), "{register}");
                assert!(fields.is_sorted_by(|a, b| a.shift < b.shift), "{register}");
            }
        }
    }
}
