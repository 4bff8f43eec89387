//! Paravirtualized time for Arm-based systems (DEN0057, version 1.0): how much time the hypervisor took.

/// PV_TIME_FEATURES: X1 is the function asked about.
pub const FEATURES: u32 = 0xc500_0020;
/// PV_TIME_ST: returns the guest-physical address of the calling CPU's [`stolen_time`] structure.
pub const STOLEN_TIME: u32 = 0xc500_0021;

/// Byte offsets of the stolen time structure, little-endian, at a multiple of 64 bytes.
pub mod stolen_time {
    /// 32-bit revision, 0.
    pub const REVISION: u64 = 0;
    /// 32-bit attributes, 0.
    pub const ATTRIBUTES: u64 = 4;
    /// 64-bit count of nanoseconds for which the CPU wanted to run and did not.
    pub const STOLEN: u64 = 8;
    /// Bytes of the structure with what is reserved behind it.
    pub const SIZE: u64 = 64;
}
