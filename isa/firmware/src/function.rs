//! What a function identifier asks for.
use crate::smccc::FunctionId;
use crate::{psci, pv_time, smccc, trng};

macro_rules! functions {
    ($($(#[$doc:meta])* $name:ident = $($id:path)|+;)*) => {
        /// A firmware function known here. Whether the call is 32 or 64 bits wide is the identifier's to tell.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum Function {
            $($(#[$doc])* $name,)*
            /// None of these: to be answered [`smccc::NOT_SUPPORTED`].
            Unknown(FunctionId),
        }

        impl Function {
            /// The function that W0 names.
            #[inline]
            pub const fn decode(w0: u32) -> Self {
                match w0 {
                    $($($id)|+ => Self::$name,)*
                    _ => Self::Unknown(FunctionId::new(w0)),
                }
            }
        }

        #[cfg(test)]
        const ALL: &[(&[u32], Function)] = &[$((&[$($id),+], Function::$name),)*];
    };
}

functions! {
    /// SMCCC_VERSION.
    SmcccVersion = smccc::VERSION;
    /// SMCCC_ARCH_FEATURES.
    ArchFeatures = smccc::ARCH_FEATURES;
    /// SMCCC_ARCH_SOC_ID.
    ArchSocId = smccc::ARCH_SOC_ID;
    /// SMCCC_ARCH_WORKAROUND_1.
    ArchWorkaround1 = smccc::ARCH_WORKAROUND_1;
    /// SMCCC_ARCH_WORKAROUND_2.
    ArchWorkaround2 = smccc::ARCH_WORKAROUND_2;
    /// SMCCC_ARCH_WORKAROUND_3.
    ArchWorkaround3 = smccc::ARCH_WORKAROUND_3;
    /// SMCCC_ARCH_WORKAROUND_4.
    ArchWorkaround4 = smccc::ARCH_WORKAROUND_4;
    /// The vendor hypervisor's call count.
    VendorHypCallCount = smccc::VENDOR_HYP_CALL_COUNT;
    /// The vendor hypervisor's unique identifier.
    VendorHypUid = smccc::VENDOR_HYP_UID;
    /// The vendor hypervisor's revision.
    VendorHypRevision = smccc::VENDOR_HYP_REVISION;
    /// PSCI_VERSION.
    PsciVersion = psci::VERSION;
    /// CPU_SUSPEND.
    CpuSuspend = psci::CPU_SUSPEND_32 | psci::CPU_SUSPEND_64;
    /// CPU_OFF.
    CpuOff = psci::CPU_OFF;
    /// CPU_ON.
    CpuOn = psci::CPU_ON_32 | psci::CPU_ON_64;
    /// AFFINITY_INFO.
    AffinityInfo = psci::AFFINITY_INFO_32 | psci::AFFINITY_INFO_64;
    /// MIGRATE.
    Migrate = psci::MIGRATE_32 | psci::MIGRATE_64;
    /// MIGRATE_INFO_TYPE.
    MigrateInfoType = psci::MIGRATE_INFO_TYPE;
    /// MIGRATE_INFO_UP_CPU.
    MigrateInfoUpCpu = psci::MIGRATE_INFO_UP_CPU_32 | psci::MIGRATE_INFO_UP_CPU_64;
    /// SYSTEM_OFF.
    SystemOff = psci::SYSTEM_OFF;
    /// SYSTEM_RESET.
    SystemReset = psci::SYSTEM_RESET;
    /// PSCI_FEATURES.
    PsciFeatures = psci::FEATURES;
    /// CPU_FREEZE.
    CpuFreeze = psci::CPU_FREEZE;
    /// CPU_DEFAULT_SUSPEND.
    CpuDefaultSuspend = psci::CPU_DEFAULT_SUSPEND_32 | psci::CPU_DEFAULT_SUSPEND_64;
    /// NODE_HW_STATE.
    NodeHwState = psci::NODE_HW_STATE_32 | psci::NODE_HW_STATE_64;
    /// SYSTEM_SUSPEND.
    SystemSuspend = psci::SYSTEM_SUSPEND_32 | psci::SYSTEM_SUSPEND_64;
    /// PSCI_SET_SUSPEND_MODE.
    SetSuspendMode = psci::SET_SUSPEND_MODE;
    /// PSCI_STAT_RESIDENCY.
    StatResidency = psci::STAT_RESIDENCY_32 | psci::STAT_RESIDENCY_64;
    /// PSCI_STAT_COUNT.
    StatCount = psci::STAT_COUNT_32 | psci::STAT_COUNT_64;
    /// SYSTEM_RESET2.
    SystemReset2 = psci::SYSTEM_RESET2_32 | psci::SYSTEM_RESET2_64;
    /// MEM_PROTECT.
    MemProtect = psci::MEM_PROTECT;
    /// MEM_PROTECT_CHECK_RANGE.
    MemProtectCheckRange = psci::MEM_PROTECT_CHECK_RANGE_32 | psci::MEM_PROTECT_CHECK_RANGE_64;
    /// TRNG_VERSION.
    TrngVersion = trng::VERSION;
    /// TRNG_FEATURES.
    TrngFeatures = trng::FEATURES;
    /// TRNG_GET_UUID.
    TrngGetUuid = trng::GET_UUID;
    /// TRNG_RND.
    TrngRnd = trng::RND_32 | trng::RND_64;
    /// PV_TIME_FEATURES.
    PvTimeFeatures = pv_time::FEATURES;
    /// PV_TIME_ST.
    PvTimeSt = pv_time::STOLEN_TIME;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_its_function() {
        for (ids, function) in ALL {
            for id in *ids {
                assert_eq!(Function::decode(*id), *function);
                assert!(FunctionId::new(*id).is_fast());
            }
            if let [narrow, wide] = ids {
                assert_eq!(narrow | 1 << 30, *wide, "twins differ in bit 30");
            }
        }
    }

    #[test]
    fn a_width_that_a_function_lacks_is_unknown() {
        for id in [psci::VERSION | 1 << 30, psci::CPU_OFF | 1 << 30, psci::VERSION & !(1 << 31), 0, u32::MAX]
        {
            assert_eq!(Function::decode(id), Function::Unknown(FunctionId::new(id)));
        }
    }
}
