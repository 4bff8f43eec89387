//! Calls of the firmware, or of who stands in for it (SBI, "Binary Encoding").

use core::arch::asm;

use isa_firmware::sbi::{Extension, srst};

use super::registers::wfi;

/// `ecall` with a0 to a5, function a6 and extension a7; returns a0 and a1.
#[inline(always)]
pub(crate) fn ecall(extension: u64, function: u64, arguments: [u64; 6]) -> [u64; 2] {
    let [mut a0, mut a1, a2, a3, a4, a5] = arguments;
    // SAFETY: what firmware does with memory it is given is what the caller asks for; all registers but a0 and a1
    // survive (SBI, "Binary Encoding").
    unsafe {
        asm!(
            "ecall",
            inout("a0") a0, inout("a1") a1, in("a2") a2, in("a3") a3, in("a4") a4, in("a5") a5,
            in("a6") function, in("a7") extension, options(nostack)
        )
    };
    [a0, a1]
}

/// Calls a function of an extension with up to four arguments; returns error and value.
pub(crate) fn call(extension: Extension, function: u32, [a, b, c, d]: [u64; 4]) -> (i64, u64) {
    let [error, value] = ecall(extension.id().into(), function.into(), [a, b, c, d, 0, 0]);
    (error as i64, value)
}

/// Powers the machine off.
pub(crate) fn off() -> ! {
    call(Extension::Srst, srst::SYSTEM_RESET, [srst::SHUTDOWN.into(), 0, 0, 0]);
    stop()
}

/// Resets the machine.
pub(crate) fn reset() -> ! {
    call(Extension::Srst, srst::SYSTEM_RESET, [srst::COLD_REBOOT.into(), 0, 0, 0]);
    stop()
}

/// Nothing more, ever.
pub(crate) fn stop() -> ! {
    loop {
        wfi();
    }
}
