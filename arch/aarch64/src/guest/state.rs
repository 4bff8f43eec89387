//! The registers of EL1, EL0 and the vector unit, which stay in the hardware until another virtual CPU
//! needs the place. DDI 0487, chapter D24.

use core::arch::{asm, naked_asm};
use core::mem::offset_of;

use crate::registers::{get, isb, set};

macro_rules! el1_registers {
    ($($one:ident $other:ident;)*) => {
        /// What EL1 and EL0 have of system registers.
        #[derive(Clone, Debug, Default)]
        #[repr(C)]
        pub(crate) struct El1 {
            $(pub(crate) $one: u64, pub(crate) $other: u64,)*
        }

        impl El1 {
            /// From the hardware: two at a time, which halves the accesses to memory.
            pub(super) fn save(&mut self) {
                $(
                    // SAFETY: reading them has no effect, and the two fields, neighbours, are ours to write.
                    unsafe {
                        asm!(
                            concat!("mrs {one}, ", stringify!($one)),
                            concat!("mrs {other}, ", stringify!($other)),
                            "stp {one}, {other}, [{to}, #{at}]",
                            one = out(reg) _,
                            other = out(reg) _,
                            to = in(reg) &raw mut *self,
                            at = const offset_of!(El1, $one),
                            options(nostack, preserves_flags)
                        );
                    }
                )*
            }

            /// To the hardware.
            ///
            /// # Safety
            /// Interrupts are masked, and the registers in the hardware were saved or are not needed.
            pub(super) unsafe fn load(&self) {
                $(
                    // SAFETY: none of these has an effect on EL2's own execution.
                    unsafe {
                        asm!(
                            "ldp {one}, {other}, [{from}, #{at}]",
                            concat!("msr ", stringify!($one), ", {one}"),
                            concat!("msr ", stringify!($other), ", {other}"),
                            one = out(reg) _,
                            other = out(reg) _,
                            from = in(reg) &raw const *self,
                            at = const offset_of!(El1, $one),
                            options(nostack, preserves_flags)
                        );
                    }
                )*
            }

            /// Each register's name and value.
            pub(super) fn each(&self, mut tell: impl FnMut(&'static str, u64)) {
                $(
                    tell(stringify!($one), self.$one);
                    tell(stringify!($other), self.$other);
                )*
            }
        }
    };
}

el1_registers! {
    sctlr_el1 cpacr_el1;
    ttbr0_el1 ttbr1_el1;
    tcr_el1 mair_el1;
    amair_el1 vbar_el1;
    esr_el1 far_el1;
    afsr0_el1 afsr1_el1;
    par_el1 contextidr_el1;
    elr_el1 spsr_el1;
    sp_el0 sp_el1;
    tpidr_el0 tpidrro_el0;
    tpidr_el1 cntkctl_el1;
    csselr_el1 vmpidr_el2;
}

impl El1 {
    /// As after a reset (D24.2: SCTLR_EL1's fields that are one without the features behind them).
    pub(super) fn reset(hardware_id: u64, alone: bool) -> Self {
        Self {
            sctlr_el1: 0x30d0_0800,
            // MPIDR_EL1: bit 31 is one; U says that the processor is the only one.
            vmpidr_el2: hardware_id | 1 << 31 | u64::from(alone) << 30,
            ..Self::default()
        }
    }
}

/// Keys of pointer authentication: APIA, APIB, APDA, APDB, APGA; low and high halves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys([u64; 10]);

impl Keys {
    /// Whether a CPU with these registers has them (ID_AA64ISAR1_EL1 APA, API, GPA, GPI; ID_AA64ISAR2_EL1 GPA3, APA3).
    pub(super) fn are_in(isar1: u64, isar2: u64) -> bool {
        isar1 & 0xff00_0ff0 != 0 || isar2 & 0xff00 != 0
    }

    pub(super) fn save(&mut self) {
        self.0 = [
            get!("S3_0_C2_C1_0"),
            get!("S3_0_C2_C1_1"),
            get!("S3_0_C2_C1_2"),
            get!("S3_0_C2_C1_3"),
            get!("S3_0_C2_C2_0"),
            get!("S3_0_C2_C2_1"),
            get!("S3_0_C2_C2_2"),
            get!("S3_0_C2_C2_3"),
            get!("S3_0_C2_C3_0"),
            get!("S3_0_C2_C3_1"),
        ];
    }

    /// # Safety
    /// As for [`El1::load`].
    pub(super) unsafe fn load(&self) {
        let [k0, k1, k2, k3, k4, k5, k6, k7, k8, k9] = self.0;
        // SAFETY: we do not use pointer authentication ourselves.
        unsafe {
            set!("S3_0_C2_C1_0", k0);
            set!("S3_0_C2_C1_1", k1);
            set!("S3_0_C2_C1_2", k2);
            set!("S3_0_C2_C1_3", k3);
            set!("S3_0_C2_C2_0", k4);
            set!("S3_0_C2_C2_1", k5);
            set!("S3_0_C2_C2_2", k6);
            set!("S3_0_C2_C2_3", k7);
            set!("S3_0_C2_C3_0", k8);
            set!("S3_0_C2_C3_1", k9);
        }
    }
}

/// The vector registers. We never touch them ourselves (the target has no floating point).
#[derive(Clone, Debug)]
#[repr(C, align(16))]
pub(crate) struct Vectors {
    pub(super) v: [[u64; 2]; 32],
    fpcr: u64,
    fpsr: u64,
}

impl Vectors {
    pub(super) const fn new() -> Self {
        Self { v: [[0; 2]; 32], fpcr: 0, fpsr: 0 }
    }

    pub(super) fn save(&mut self) {
        // SAFETY: stores 512 bytes to `v`, which has them.
        unsafe { save_vectors(&raw mut self.v) };
        self.fpcr = get!("S3_3_C4_C4_0");
        self.fpsr = get!("S3_3_C4_C4_1");
    }

    /// # Safety
    /// As for [`El1::load`].
    pub(super) unsafe fn load(&self) {
        // SAFETY: loads 512 bytes from `v`; nobody but guests uses these registers.
        unsafe {
            load_vectors(&raw const self.v);
            set!("S3_3_C4_C4_0", self.fpcr);
            set!("S3_3_C4_C4_1", self.fpsr);
        }
    }
}

macro_rules! all_vectors {
    ($instruction:literal) => {
        naked_asm!(
            ".arch_extension fp",
            ".arch_extension simd",
            concat!($instruction, " q0, q1, [x0]"),
            concat!($instruction, " q2, q3, [x0, #32]"),
            concat!($instruction, " q4, q5, [x0, #64]"),
            concat!($instruction, " q6, q7, [x0, #96]"),
            concat!($instruction, " q8, q9, [x0, #128]"),
            concat!($instruction, " q10, q11, [x0, #160]"),
            concat!($instruction, " q12, q13, [x0, #192]"),
            concat!($instruction, " q14, q15, [x0, #224]"),
            concat!($instruction, " q16, q17, [x0, #256]"),
            concat!($instruction, " q18, q19, [x0, #288]"),
            concat!($instruction, " q20, q21, [x0, #320]"),
            concat!($instruction, " q22, q23, [x0, #352]"),
            concat!($instruction, " q24, q25, [x0, #384]"),
            concat!($instruction, " q26, q27, [x0, #416]"),
            concat!($instruction, " q28, q29, [x0, #448]"),
            concat!($instruction, " q30, q31, [x0, #480]"),
            "ret",
            ".arch_extension nosimd",
            ".arch_extension nofp",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn save_vectors(to: *mut [[u64; 2]; 32]) {
    all_vectors!("stp")
}

#[unsafe(naked)]
unsafe extern "C" fn load_vectors(from: *const [[u64; 2]; 32]) {
    all_vectors!("ldp")
}

/// The virtual timer of a guest that is not loaded: CNTV_CTL_EL0 and CNTV_CVAL_EL0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timer {
    pub(super) control: u64,
    pub(super) compare: u64,
}

impl Timer {
    /// Takes it out of the hardware, which then is silent.
    pub(super) fn save(&mut self) {
        self.control = get!("cntv_ctl_el0");
        self.compare = get!("cntv_cval_el0");
        // SAFETY: silences the guest's timer; we have our own.
        unsafe { set!("cntv_ctl_el0", 0) };
        isb();
    }

    /// # Safety
    /// As for [`El1::load`].
    pub(super) unsafe fn load(&self) {
        // SAFETY: the timer belongs to the guest that is being loaded.
        unsafe {
            set!("cntv_cval_el0", self.compare);
            set!("cntv_ctl_el0", self.control & 0b11);
        }
    }
}
