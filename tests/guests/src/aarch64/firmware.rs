//! Calls to the firmware, or to who stands in for it.

use core::arch::asm;

use isa_firmware::{psci, smccc};

use super::registers::wfi;
use crate::runtime::machine::machine;

/// The instruction that calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Conduit {
    /// HVC #0.
    Hvc,
    /// SMC #0.
    Smc,
}

/// The status that an unknown function returns.
pub(crate) const NOT_SUPPORTED: i32 = smccc::NOT_SUPPORTED;

macro_rules! caller {
    ($name:ident, $instruction:tt) => {
        #[doc = concat!("`", $instruction, "` with x0 to x3; returns them.")]
        #[inline(always)]
        pub(crate) fn $name(mut x: [u64; 4]) -> [u64; 4] {
            // SAFETY: what firmware does with memory it is given is what the caller asks for; registers
            // above x3 survive (SMCCC 1.1, 2.6), and are given up here all the same.
            unsafe {
                asm!(
                    $instruction,
                    inout("x0") x[0], inout("x1") x[1], inout("x2") x[2], inout("x3") x[3],
                    options(nostack)
                )
            };
            x
        }
    };
}

caller!(hvc, "hvc #0");
caller!(hvc_with_immediate, "hvc #0x4a48");
caller!(smc, "smc #0");
caller!(smc_with_immediate, "smc #0x77");

impl Conduit {
    /// Calls `function` with up to three arguments; returns x0 to x3.
    pub(crate) fn call(self, function: u32, [a, b, c]: [u64; 3]) -> [u64; 4] {
        let x = [function.into(), a, b, c];
        match self {
            Self::Hvc => hvc(x),
            Self::Smc => smc(x),
        }
    }
}

/// Calls `function`; returns x0 to x3.
pub(crate) fn call(function: u32, arguments: [u64; 3]) -> [u64; 4] {
    machine().parts.conduit.call(function, arguments)
}

/// Calls `function`; returns the status in w0.
pub(crate) fn status(function: u32, arguments: [u64; 3]) -> i32 {
    call(function, arguments)[0] as i32
}

/// Whether somebody answers to the vendor hypervisor's unique identifier.
pub(crate) fn is_hypervised(conduit: Conduit) -> bool {
    conduit.call(smccc::VENDOR_HYP_UID, [0; 3])[0] as i32 != NOT_SUPPORTED
}

/// Powers the machine off.
pub(crate) fn off() -> ! {
    call(psci::SYSTEM_OFF, [0; 3]);
    stop()
}

/// Resets the machine.
pub(crate) fn reset() -> ! {
    call(psci::SYSTEM_RESET, [0; 3]);
    stop()
}

/// Nothing more, ever.
pub(crate) fn stop() -> ! {
    loop {
        wfi();
    }
}
