//! What a guest may do by itself and what traps: HCR_EL2.

/// HCR_EL2 (DDI 0487, D24.2.49): stage 2; interrupts and errors come to EL2 and virtual ones go to EL1;
/// TLB maintenance is broadcast (FB), barriers reach inner shareable (BSU); WFI, SMC, implementation
/// defined registers, ACTLR and the ID registers trap; EL1 is AArch64; pointer authentication does not
/// trap.
pub(super) const HCR: u64 = HCR_HOST
    | 1 << 0 // VM
    | 1 << 1 // SWIO
    | 1 << 9 // FB
    | 1 << 10 // BSU, inner shareable
    | TWI
    | 1 << 18 // TID3
    | 1 << 19 // TSC
    | 1 << 20 // TIDCP
    | 1 << 21 // TACR
    | 1 << 40 // APK
    | 1 << 41; // API
/// While no guest runs: interrupts and errors come to EL2, and EL1 is AArch64.
pub(crate) const HCR_HOST: u64 = 1 << 31 | 1 << 3 | 1 << 4 | 1 << 5;
/// A virtual system error waits for the guest.
pub(super) const VSE: u64 = 1 << 8;
/// WFI traps.
pub(super) const TWI: u64 = 1 << 13;
/// WFE traps.
pub(super) const TWE: u64 = 1 << 14;
