//! The RISC-V Supervisor Binary Interface, version 2.0 (riscv-sbi-doc): numbers, errors and the types that calls carry.
//! Extensions that came with 3.0 are known by number alone.
//!
//! A call names an extension in a7 and a function of it in a6; arguments are in a0 to a5. It returns an error in a0 and
//! a value in a1, and changes no other register (chapter 3). The legacy extensions return a0 alone (chapter 5).

mod event;
mod extension;

pub use event::{Event, FirmwareEvent};
pub use extension::Extension;

/// The version of the specification that is meant here, as BASE returns it: 7 bits major, 24 bits minor.
pub const VERSION_2_0: u64 = version(2, 0);

/// A version of the specification (4.1): bit 31 is zero.
pub const fn version(major: u8, minor: u32) -> u64 {
    ((major as u64 & 0x7f) << 24) | (minor as u64 & 0xff_ffff)
}

/// What a function returns in a0 (Table 1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// SBI_SUCCESS: it was done.
    Success = 0,
    /// SBI_ERR_FAILED.
    Failed = -1,
    /// SBI_ERR_NOT_SUPPORTED: there is no such extension or function.
    NotSupported = -2,
    /// SBI_ERR_INVALID_PARAM.
    InvalidParam = -3,
    /// SBI_ERR_DENIED.
    Denied = -4,
    /// SBI_ERR_INVALID_ADDRESS.
    InvalidAddress = -5,
    /// SBI_ERR_ALREADY_AVAILABLE.
    AlreadyAvailable = -6,
    /// SBI_ERR_ALREADY_STARTED.
    AlreadyStarted = -7,
    /// SBI_ERR_ALREADY_STOPPED.
    AlreadyStopped = -8,
    /// SBI_ERR_NO_SHMEM: there is no shared memory yet.
    NoShmem = -9,
}

impl Error {
    /// a0 that returns it.
    #[inline]
    pub const fn register(self) -> u64 {
        self as i64 as u64
    }

    /// The error in a0; `None` for one that the specification does not have (yet).
    pub const fn from_register(a0: u64) -> Option<Self> {
        Some(match a0 as i64 {
            0 => Self::Success,
            -1 => Self::Failed,
            -2 => Self::NotSupported,
            -3 => Self::InvalidParam,
            -4 => Self::Denied,
            -5 => Self::InvalidAddress,
            -6 => Self::AlreadyAvailable,
            -7 => Self::AlreadyStarted,
            -8 => Self::AlreadyStopped,
            -9 => Self::NoShmem,
            _ => return None,
        })
    }
}

/// The harts that a call is for (3.1): a mask, and the hart of its lowest bit; or all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Harts {
    /// All that there are.
    All,
    /// Hart `base` + n for every bit n that is set.
    Some {
        /// The bits.
        mask: u64,
        /// The hart of bit 0.
        base: u64,
    },
}

impl Harts {
    /// The harts that `hart_mask` and `hart_mask_base` mean.
    #[inline]
    pub const fn new(mask: u64, base: u64) -> Self {
        if base == u64::MAX { Self::All } else { Self::Some { mask, base } }
    }

    /// Whether this hart is meant.
    #[inline]
    pub const fn has(self, hart: u64) -> bool {
        match self {
            Self::All => true,
            Self::Some { mask, base } => hart >= base && hart - base < 64 && mask >> (hart - base) & 1 != 0,
        }
    }

    /// The hart that is meant, if it is one.
    #[inline]
    pub const fn only(self) -> Option<u64> {
        match self {
            Self::Some { mask, base } if mask.is_power_of_two() => {
                base.checked_add(mask.trailing_zeros() as u64)
            }
            _ => None,
        }
    }

    /// How many are meant; `None` for all.
    #[inline]
    pub const fn count(self) -> Option<u32> {
        match self {
            Self::All => None,
            Self::Some { mask, .. } => Some(mask.count_ones()),
        }
    }
}

/// Functions of BASE (chapter 4).
pub mod base {
    /// sbi_get_spec_version.
    pub const GET_SPEC_VERSION: u32 = 0;
    /// sbi_get_impl_id.
    pub const GET_IMPL_ID: u32 = 1;
    /// sbi_get_impl_version.
    pub const GET_IMPL_VERSION: u32 = 2;
    /// sbi_probe_extension: a0 is the extension; the value is 0 where it is not there.
    pub const PROBE_EXTENSION: u32 = 3;
    /// sbi_get_mvendorid.
    pub const GET_MVENDORID: u32 = 4;
    /// sbi_get_marchid.
    pub const GET_MARCHID: u32 = 5;
    /// sbi_get_mimpid.
    pub const GET_MIMPID: u32 = 6;

    /// Implementation identifiers (4.9): Xvisor's.
    pub const IMPL_XVISOR: u64 = 2;
}

/// Functions of TIME (chapter 6).
pub mod time {
    /// sbi_set_timer: a0 is the time at which the hart's timer interrupt becomes pending.
    pub const SET_TIMER: u32 = 0;
}

/// Functions of IPI (chapter 7).
pub mod ipi {
    /// sbi_send_ipi: a0 and a1 are the harts.
    pub const SEND_IPI: u32 = 0;
}

/// Functions of RFENCE (chapter 8): a0 and a1 are the harts, a2 and a3 the first address and the bytes, a4 an ASID or
/// VMID.
pub mod rfence {
    /// sbi_remote_fence_i.
    pub const FENCE_I: u32 = 0;
    /// sbi_remote_sfence_vma.
    pub const SFENCE_VMA: u32 = 1;
    /// sbi_remote_sfence_vma_asid.
    pub const SFENCE_VMA_ASID: u32 = 2;
    /// sbi_remote_hfence_gvma_vmid.
    pub const HFENCE_GVMA_VMID: u32 = 3;
    /// sbi_remote_hfence_gvma.
    pub const HFENCE_GVMA: u32 = 4;
    /// sbi_remote_hfence_vvma_asid.
    pub const HFENCE_VVMA_ASID: u32 = 5;
    /// sbi_remote_hfence_vvma.
    pub const HFENCE_VVMA: u32 = 6;
}

/// Functions and states of HSM (chapter 9).
pub mod hsm {
    /// sbi_hart_start: a0 is the hart, a1 where it begins, a2 what it finds in a1.
    pub const HART_START: u32 = 0;
    /// sbi_hart_stop: the calling hart.
    pub const HART_STOP: u32 = 1;
    /// sbi_hart_get_status: a0 is the hart.
    pub const HART_GET_STATUS: u32 = 2;
    /// sbi_hart_suspend: a0 is the kind, a1 and a2 where the hart resumes and what it finds in a1.
    pub const HART_SUSPEND: u32 = 3;

    /// What HART_GET_STATUS returns (Table 11).
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub enum State {
        /// It runs.
        Started = 0,
        /// It is off.
        Stopped = 1,
        /// It is being started.
        StartPending = 2,
        /// It is being stopped.
        StopPending = 3,
        /// It is suspended.
        Suspended = 4,
        /// It is being suspended.
        SuspendPending = 5,
        /// It is being resumed.
        ResumePending = 6,
    }

    /// The kinds of suspension that every implementation knows (Table 14).
    pub const SUSPEND_RETENTIVE: u32 = 0;
    /// Default non-retentive suspension.
    pub const SUSPEND_NON_RETENTIVE: u32 = 0x8000_0000;
}

/// The function of SRST (chapter 10).
pub mod srst {
    /// sbi_system_reset: a0 is the type, a1 the reason.
    pub const SYSTEM_RESET: u32 = 0;

    /// Types (Table 17).
    pub const SHUTDOWN: u32 = 0;
    /// Everything from the beginning again.
    pub const COLD_REBOOT: u32 = 1;
    /// The processor from the beginning again.
    pub const WARM_REBOOT: u32 = 2;

    /// Reasons (Table 18): none.
    pub const NO_REASON: u32 = 0;
    /// The system failed.
    pub const SYSTEM_FAILURE: u32 = 1;
    /// The first reason that implementations and vendors define for themselves.
    pub const FIRST_OWN_REASON: u32 = 0xe000_0000;
}

/// Functions of PMU (chapter 11).
pub mod pmu {
    /// sbi_pmu_num_counters.
    pub const NUM_COUNTERS: u32 = 0;
    /// sbi_pmu_counter_get_info: a0 is the counter.
    pub const COUNTER_GET_INFO: u32 = 1;
    /// sbi_pmu_counter_config_matching: a0 and a1 are the counters to choose from, a2 flags, a3 the event, a4 its data.
    pub const COUNTER_CONFIG_MATCHING: u32 = 2;
    /// sbi_pmu_counter_start: a0 and a1 are the counters, a2 flags, a3 the value to begin with.
    pub const COUNTER_START: u32 = 3;
    /// sbi_pmu_counter_stop: a0 and a1 are the counters, a2 flags.
    pub const COUNTER_STOP: u32 = 4;
    /// sbi_pmu_counter_fw_read: a0 is the counter.
    pub const COUNTER_FW_READ: u32 = 5;
    /// sbi_pmu_counter_fw_read_hi: a0 is the counter.
    pub const COUNTER_FW_READ_HI: u32 = 6;
    /// sbi_pmu_snapshot_set_shmem.
    pub const SNAPSHOT_SET_SHMEM: u32 = 7;

    /// COUNTER_GET_INFO's value for a counter that the firmware keeps (11.6): bit 63 of 64.
    pub const INFO_FIRMWARE: u64 = 1 << 63;
    /// The same for one of the hart's, of 64 bits, which is read in this CSR: one less than its bits in bits 17:12.
    pub const fn info_hardware(csr: u16) -> u64 {
        63 << 12 | csr as u64
    }
    /// Codes of hardware events (11.1): cycles of the hart's clock.
    pub const CPU_CYCLES: u16 = 1;
    /// Instructions retired.
    pub const INSTRUCTIONS: u16 = 2;

    /// Flags of COUNTER_CONFIG_MATCHING (Table 28).
    pub const CONFIG_SKIP_MATCH: u64 = 1 << 0;
    /// Set the counter to zero.
    pub const CONFIG_CLEAR_VALUE: u64 = 1 << 1;
    /// Start the counter.
    pub const CONFIG_AUTO_START: u64 = 1 << 2;
    /// Flags of COUNTER_START (Table 29): the counter begins with the value given.
    pub const START_SET_INIT_VALUE: u64 = 1 << 0;
    /// It begins with the one in shared memory.
    pub const START_INIT_SNAPSHOT: u64 = 1 << 1;
    /// Flags of COUNTER_STOP (Table 31): the counter is given back.
    pub const STOP_RESET: u64 = 1 << 0;
    /// Its value goes to shared memory.
    pub const STOP_TAKE_SNAPSHOT: u64 = 1 << 1;
}

/// Functions of DBCN (chapter 12).
pub mod dbcn {
    /// sbi_debug_console_write: a0 bytes from the address in a1 (low) and a2 (high); the value is how many were taken.
    pub const WRITE: u32 = 0;
    /// sbi_debug_console_read: likewise.
    pub const READ: u32 = 1;
    /// sbi_debug_console_write_byte: a0 is the byte.
    pub const WRITE_BYTE: u32 = 2;
}

/// The function of SUSP (chapter 13).
pub mod susp {
    /// sbi_system_suspend: a0 is the type, a1 and a2 where the hart resumes and what it finds in a1.
    pub const SYSTEM_SUSPEND: u32 = 0;
    /// The type that every implementation has: suspend to RAM.
    pub const SUSPEND_TO_RAM: u32 = 0;
}

/// The function of STA (chapter 16), and the structure in shared memory.
pub mod sta {
    /// sbi_steal_time_set_shmem: a0 and a1 are the address, all ones to end it; a2 flags, zero.
    pub const SET_SHMEM: u32 = 0;

    /// Offset of the 32-bit sequence number: odd while the structure is written.
    pub const SEQUENCE: u64 = 0;
    /// Offset of 32 bits of flags, zero.
    pub const FLAGS: u64 = 4;
    /// Offset of the 64-bit count of nanoseconds for which the hart wanted to run and did not.
    pub const STEAL: u64 = 8;
    /// Offset of a byte that says whether the hart was preempted.
    pub const PREEMPTED: u64 = 16;
    /// Bytes of the structure, and what its address is a multiple of.
    pub const SIZE: u64 = 64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_its_register() {
        for code in -9..=0i64 {
            let error = Error::from_register(code as u64).unwrap();
            assert_eq!((error as i64, error.register()), (code, code as u64));
        }
        assert_eq!(Error::from_register(1), None);
        assert_eq!(Error::NotSupported.register(), u64::MAX - 1);
    }

    #[test]
    fn a_mask_counts_from_its_base() {
        let harts = Harts::new(0b101, 4);
        assert!(harts.has(4) && !harts.has(5) && harts.has(6) && !harts.has(3) && !harts.has(68));
        assert_eq!(harts.count(), Some(2));
        assert_eq!([harts.only(), Harts::All.only(), Harts::new(0b100, 4).only()], [None, None, Some(6)]);
        assert_eq!(Harts::new(0b100, u64::MAX - 1).only(), None, "nothing wraps");
        assert!(Harts::new(0, u64::MAX).has(77));
        assert!(Harts::new(1 << 63, 0).has(63));
        assert!(!Harts::new(1, u64::MAX - 1).has(0), "nothing wraps");
    }

    #[test]
    fn versions_have_major_and_minor() {
        assert_eq!(VERSION_2_0, 0x0200_0000);
    }
}
