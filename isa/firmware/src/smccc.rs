//! The SMC Calling Convention (DEN0028, version 1.5): the layout of function identifiers, general services.

/// A function identifier, W0 of an SMC or HVC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FunctionId(u32);

/// Who answers for a range of functions (bits 29:24, Table 6-2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Arm architecture.
    Architecture,
    /// The CPU's maker.
    Cpu,
    /// The system's maker.
    Sip,
    /// The product's maker.
    Oem,
    /// Standard secure services: PSCI, TRNG.
    StandardSecure,
    /// Standard hypervisor services: paravirtualized time.
    StandardHypervisor,
    /// The hypervisor's maker.
    VendorHypervisor,
    /// The EL3 monitor's maker.
    VendorEl3,
    /// Trusted applications and operating systems, and what is reserved.
    Other(u8),
}

impl FunctionId {
    const FAST: u32 = 1 << 31;
    const CALL_64: u32 = 1 << 30;

    /// The identifier with this value.
    #[inline]
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// The value.
    #[inline]
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Whether the call is fast: atomic from the caller's view, not yielding.
    #[inline]
    pub const fn is_fast(self) -> bool {
        self.0 & Self::FAST != 0
    }

    /// Whether arguments and results are 64 bits wide; only an AArch64 caller may ask for that.
    #[inline]
    pub const fn is_64bit(self) -> bool {
        self.0 & Self::CALL_64 != 0
    }

    /// The range that the function belongs to.
    pub const fn owner(self) -> Owner {
        match (self.0 >> 24) & 0x3f {
            0 => Owner::Architecture,
            1 => Owner::Cpu,
            2 => Owner::Sip,
            3 => Owner::Oem,
            4 => Owner::StandardSecure,
            5 => Owner::StandardHypervisor,
            6 => Owner::VendorHypervisor,
            7 => Owner::VendorEl3,
            other => Owner::Other(other as u8),
        }
    }

    /// The number within the range.
    pub const fn number(self) -> u16 {
        self.0 as u16
    }
}

/// SMCCC_VERSION.
pub const VERSION: u32 = 0x8000_0000;
/// SMCCC_ARCH_FEATURES: W1 is the function asked about; zero or more means that it is there.
pub const ARCH_FEATURES: u32 = 0x8000_0001;
/// SMCCC_ARCH_SOC_ID: W1 is 0 for the version, 1 for the revision.
pub const ARCH_SOC_ID: u32 = 0x8000_0002;
/// SMCCC_ARCH_WORKAROUND_1: CVE-2017-5715.
pub const ARCH_WORKAROUND_1: u32 = 0x8000_8000;
/// SMCCC_ARCH_WORKAROUND_2: CVE-2018-3639.
pub const ARCH_WORKAROUND_2: u32 = 0x8000_7fff;
/// SMCCC_ARCH_WORKAROUND_3: CVE-2017-5715 and CVE-2022-23960.
pub const ARCH_WORKAROUND_3: u32 = 0x8000_3fff;
/// SMCCC_ARCH_WORKAROUND_4: CVE-2024-7881.
pub const ARCH_WORKAROUND_4: u32 = 0x8000_0004;

/// General service queries of the vendor hypervisor range: the number of calls (deprecated), the unique identifier, the
/// revision.
pub const VENDOR_HYP_CALL_COUNT: u32 = 0x8600_ff00;
/// The vendor hypervisor's unique identifier, in W0 to W3.
pub const VENDOR_HYP_UID: u32 = 0x8600_ff01;
/// The vendor hypervisor's revision: major in W0, minor in W1.
pub const VENDOR_HYP_REVISION: u32 = 0x8600_ff03;

/// SMCCC version 1.1, the first with ARCH_FEATURES; bits 30:16 major, 15:0 minor.
pub const VERSION_1_1: u32 = version(1, 1);
/// SMCCC version 1.2.
pub const VERSION_1_2: u32 = version(1, 2);

/// A version as SMCCC, PSCI and TRNG encode theirs.
pub const fn version(major: u16, minor: u16) -> u32 {
    ((major as u32 & 0x7fff) << 16) | minor as u32
}

/// SUCCESS.
pub const SUCCESS: i32 = 0;
/// NOT_SUPPORTED, and what an unknown function returns (sign-extended to X0 for a 64-bit call).
pub const NOT_SUPPORTED: i32 = -1;
/// NOT_REQUIRED: the workaround is not needed here.
pub const NOT_REQUIRED: i32 = -2;
/// INVALID_PARAMETER.
pub const INVALID_PARAMETER: i32 = -3;

/// X0 that returns a status. All 64 bits carry the sign, which a 32-bit caller does not see.
#[inline]
pub const fn status(code: i32) -> u64 {
    code as i64 as u64
}

/// W0 to W3 that return a UUID given in the order in which it is written (RFC 9562): each register holds four of its
/// bytes, the first in the lowest bits.
pub const fn uuid_registers(uuid: [u8; 16]) -> [u32; 4] {
    let [a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, d0, d1, d2, d3] = uuid;
    [
        u32::from_le_bytes([a0, a1, a2, a3]),
        u32::from_le_bytes([b0, b1, b2, b3]),
        u32::from_le_bytes([c0, c1, c2, c3]),
        u32::from_le_bytes([d0, d1, d2, d3]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_tell_owner_width_and_kind() {
        let id = FunctionId::new(0xc400_0003);
        assert!(id.is_fast() && id.is_64bit());
        assert_eq!((id.owner(), id.number()), (Owner::StandardSecure, 3));
        assert_eq!(FunctionId::new(VENDOR_HYP_UID).owner(), Owner::VendorHypervisor);
        assert_eq!(FunctionId::new(VERSION).owner(), Owner::Architecture);
        assert_eq!(FunctionId::new(0x3200_0000).owner(), Owner::Other(0x32));
        assert!(!FunctionId::new(0x3200_0000).is_fast());
    }

    #[test]
    fn an_identifier_of_a_hypervisor_is_returned_as_others_do() {
        // KVM's, 28b46fb6-2ec5-11e9-a9ca-4b564d003a74, and the words by which Linux knows it.
        let uuid =
            [0x28, 0xb4, 0x6f, 0xb6, 0x2e, 0xc5, 0x11, 0xe9, 0xa9, 0xca, 0x4b, 0x56, 0x4d, 0x00, 0x3a, 0x74];
        assert_eq!(uuid_registers(uuid), [0xb66f_b428, 0xe911_c52e, 0x564b_caa9, 0x743a_004d]);
    }

    #[test]
    fn a_status_is_sign_extended() {
        assert_eq!(status(NOT_SUPPORTED), u64::MAX);
        assert_eq!(version(1, 1), 0x1_0001);
    }
}
