//! The Power State Coordination Interface (DEN0022, version 1.1 and what of 1.2 and 1.3 has numbers here).
use crate::smccc;

/// PSCI_VERSION.
pub const VERSION: u32 = 0x8400_0000;
/// CPU_SUSPEND, 32-bit call. Each function with addresses or affinities has a 64-bit twin with bit 30 set.
pub const CPU_SUSPEND_32: u32 = 0x8400_0001;
/// CPU_SUSPEND, 64-bit call.
pub const CPU_SUSPEND_64: u32 = 0xc400_0001;
/// CPU_OFF.
pub const CPU_OFF: u32 = 0x8400_0002;
/// CPU_ON, 32-bit call.
pub const CPU_ON_32: u32 = 0x8400_0003;
/// CPU_ON, 64-bit call.
pub const CPU_ON_64: u32 = 0xc400_0003;
/// AFFINITY_INFO, 32-bit call.
pub const AFFINITY_INFO_32: u32 = 0x8400_0004;
/// AFFINITY_INFO, 64-bit call.
pub const AFFINITY_INFO_64: u32 = 0xc400_0004;
/// MIGRATE, 32-bit call.
pub const MIGRATE_32: u32 = 0x8400_0005;
/// MIGRATE, 64-bit call.
pub const MIGRATE_64: u32 = 0xc400_0005;
/// MIGRATE_INFO_TYPE.
pub const MIGRATE_INFO_TYPE: u32 = 0x8400_0006;
/// MIGRATE_INFO_UP_CPU, 32-bit call.
pub const MIGRATE_INFO_UP_CPU_32: u32 = 0x8400_0007;
/// MIGRATE_INFO_UP_CPU, 64-bit call.
pub const MIGRATE_INFO_UP_CPU_64: u32 = 0xc400_0007;
/// SYSTEM_OFF.
pub const SYSTEM_OFF: u32 = 0x8400_0008;
/// SYSTEM_RESET.
pub const SYSTEM_RESET: u32 = 0x8400_0009;
/// PSCI_FEATURES.
pub const FEATURES: u32 = 0x8400_000a;
/// CPU_FREEZE.
pub const CPU_FREEZE: u32 = 0x8400_000b;
/// CPU_DEFAULT_SUSPEND, 32-bit call.
pub const CPU_DEFAULT_SUSPEND_32: u32 = 0x8400_000c;
/// CPU_DEFAULT_SUSPEND, 64-bit call.
pub const CPU_DEFAULT_SUSPEND_64: u32 = 0xc400_000c;
/// NODE_HW_STATE, 32-bit call.
pub const NODE_HW_STATE_32: u32 = 0x8400_000d;
/// NODE_HW_STATE, 64-bit call.
pub const NODE_HW_STATE_64: u32 = 0xc400_000d;
/// SYSTEM_SUSPEND, 32-bit call.
pub const SYSTEM_SUSPEND_32: u32 = 0x8400_000e;
/// SYSTEM_SUSPEND, 64-bit call.
pub const SYSTEM_SUSPEND_64: u32 = 0xc400_000e;
/// PSCI_SET_SUSPEND_MODE.
pub const SET_SUSPEND_MODE: u32 = 0x8400_000f;
/// PSCI_STAT_RESIDENCY, 32-bit call.
pub const STAT_RESIDENCY_32: u32 = 0x8400_0010;
/// PSCI_STAT_RESIDENCY, 64-bit call.
pub const STAT_RESIDENCY_64: u32 = 0xc400_0010;
/// PSCI_STAT_COUNT, 32-bit call.
pub const STAT_COUNT_32: u32 = 0x8400_0011;
/// PSCI_STAT_COUNT, 64-bit call.
pub const STAT_COUNT_64: u32 = 0xc400_0011;
/// SYSTEM_RESET2, 32-bit call.
pub const SYSTEM_RESET2_32: u32 = 0x8400_0012;
/// SYSTEM_RESET2, 64-bit call.
pub const SYSTEM_RESET2_64: u32 = 0xc400_0012;
/// MEM_PROTECT.
pub const MEM_PROTECT: u32 = 0x8400_0013;
/// MEM_PROTECT_CHECK_RANGE, 32-bit call.
pub const MEM_PROTECT_CHECK_RANGE_32: u32 = 0x8400_0014;
/// MEM_PROTECT_CHECK_RANGE, 64-bit call.
pub const MEM_PROTECT_CHECK_RANGE_64: u32 = 0xc400_0014;

/// PSCI version 1.1.
pub const VERSION_1_1: u32 = smccc::version(1, 1);

/// What a function returns, 5.2.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// It was done.
    Success = 0,
    /// There is no such function.
    NotSupported = -1,
    /// An argument is wrong.
    InvalidParameters = -2,
    /// It is not allowed.
    Denied = -3,
    /// The CPU is on already.
    AlreadyOn = -4,
    /// The CPU is being turned on already.
    OnPending = -5,
    /// Something inside went wrong.
    InternalFailure = -6,
    /// The trusted operating system is not on this CPU.
    NotPresent = -7,
    /// The CPU is disabled.
    Disabled = -8,
    /// The entry point is no address to start at.
    InvalidAddress = -9,
}

impl Status {
    /// X0 that returns it.
    #[inline]
    pub const fn register(self) -> u64 {
        smccc::status(self as i32)
    }

    /// The status in X0 (its low 32 bits), if it is one.
    pub const fn from_register(x0: u64) -> Option<Self> {
        Some(match x0 as i32 {
            0 => Self::Success,
            -1 => Self::NotSupported,
            -2 => Self::InvalidParameters,
            -3 => Self::Denied,
            -4 => Self::AlreadyOn,
            -5 => Self::OnPending,
            -6 => Self::InternalFailure,
            -7 => Self::NotPresent,
            -8 => Self::Disabled,
            -9 => Self::InvalidAddress,
            _ => return None,
        })
    }
}

/// What AFFINITY_INFO returns of a CPU, 5.7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AffinityInfo {
    /// It is on.
    On = 0,
    /// It is off.
    Off = 1,
    /// It has been told to turn on and has not yet.
    OnPending = 2,
}

/// MIGRATE_INFO_TYPE's answer where no trusted operating system needs migration.
pub const MIGRATION_NOT_REQUIRED: u64 = 2;

/// Aff3, Aff2, Aff1 and Aff0 in a target_cpu argument; the other bits must be zero.
pub const AFFINITY_64: u64 = 0xff_00ff_ffff;
/// The same in a 32-bit call.
pub const AFFINITY_32: u64 = 0xff_ffff;

/// The `power_state` argument of CPU_SUSPEND, 5.4.2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PowerState(u32);

impl PowerState {
    /// The argument, W1.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// Whether this is a powerdown state, from which one resumes at the entry point, and no standby state. `extended`
    /// says which of the two formats is used.
    pub const fn is_powerdown(self, extended: bool) -> bool {
        self.0 & (if extended { 1 << 30 } else { 1 << 16 }) != 0
    }

    /// Whether bits that are reserved in the original format are set.
    pub const fn has_reserved_bits(self) -> bool {
        self.0 & !0x0301_ffff != 0
    }
}

/// PSCI_FEATURES' answer for CPU_SUSPEND: bit 1, the extended format; bit 0, OS-initiated mode.
pub mod suspend_features {
    /// The `power_state` argument has the extended format.
    pub const EXTENDED: u64 = 1 << 1;
    /// OS-initiated mode is supported.
    pub const OS_INITIATED: u64 = 1 << 0;
}

/// SYSTEM_RESET2's type of reset: bit 31 marks a vendor's own; this is the one that the architecture defines.
pub const SYSTEM_WARM_RESET: u32 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_survives_its_register() {
        for code in -9..=0 {
            let status = Status::from_register(smccc::status(code)).unwrap();
            assert_eq!((status as i32, status.register()), (code, smccc::status(code)));
        }
        assert_eq!(Status::from_register(0xffff_ffff), Some(Status::NotSupported), "a 32-bit answer");
        assert_eq!(Status::from_register(1), None);
    }

    #[test]
    fn power_states_tell_standby_from_powerdown() {
        assert!(PowerState::new(1 << 16).is_powerdown(false));
        assert!(!PowerState::new(1 << 16).is_powerdown(true));
        assert!(PowerState::new(1 << 30).is_powerdown(true));
        assert!(PowerState::new(1 << 30).has_reserved_bits());
    }
}
