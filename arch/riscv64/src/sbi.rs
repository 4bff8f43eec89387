//! Calls of the firmware (SBI 2.0, "Binary Encoding"): ECALL with the extension in a7 and the function in a6;
//! a0 brings the error and a1 the value.

use core::sync::atomic::{AtomicBool, Ordering};

/// "TIME": set_timer.
const TIME: u64 = 0x5449_4d45;
/// "sPI": send_ipi.
const IPI: u64 = 0x73_5049;
/// "RFNC": fences on other harts.
const RFENCE: u64 = 0x5246_4e43;
/// "SRST": system_reset.
const SYSTEM_RESET: u64 = 0x5352_5354;
/// "DBCN": the firmware's console.
const CONSOLE: u64 = 0x4442_434e;
/// The base extension, and its get_spec_version and probe_extension.
const BASE: u64 = 0x10;
const VERSION: u64 = 0;
const PROBE: u64 = 3;
/// Legacy console_putchar.
const LEGACY_PUTCHAR: u64 = 1;
/// All harts, as a pair of mask and base.
const ALL: [u64; 2] = [0, u64::MAX];

/// Whether the firmware has a console of the newer kind.
static HAS_CONSOLE: AtomicBool = AtomicBool::new(false);

/// Calls with a0 to a7, and brings a0 and a1.
#[inline]
pub(crate) fn call([mut a0, mut a1, a2, a3, a4, a5, a6, a7]: [u64; 8]) -> [u64; 2] {
    // SAFETY: the SBI's convention: the callee changes a0 and a1 alone, and its effects are those of the
    // function that the caller names.
    unsafe {
        core::arch::asm!(
            "ecall",
            inout("a0") a0, inout("a1") a1, in("a2") a2, in("a3") a3, in("a4") a4, in("a5") a5,
            in("a6") a6, in("a7") a7, options(nostack)
        );
    }
    [a0, a1]
}

/// Whether the firmware has an extension.
fn has(extension: u64) -> bool {
    // Which value says that it is there is the firmware's choice.
    let [error, value] = call([extension, 0, 0, 0, 0, 0, PROBE, BASE]);
    error == 0 && value != 0
}

/// The specification's version that the firmware implements, major and minor; 0.1 has no call that says it.
pub(crate) fn version() -> (u64, u64) {
    match call([0, 0, 0, 0, 0, 0, VERSION, BASE]) {
        [0, version] => (version >> 24 & 0x7f, version & 0xff_ffff),
        _ => (0, 1),
    }
}

/// Asks for a timer interrupt at `ticks` of the time counter.
pub(crate) fn set_timer(ticks: u64) {
    call([ticks, 0, 0, 0, 0, 0, 0, TIME]);
}

/// Makes the supervisor software interrupt of a hart pending.
pub(crate) fn send_ipi(hart: u64) {
    call([1, hart, 0, 0, 0, 0, 0, IPI]);
}

/// Fences that other harts are told to make.
#[derive(Clone, Copy)]
pub(crate) enum Fence {
    /// FENCE.I
    Instructions = 0,
    /// SFENCE.VMA over a range of our own addresses.
    Own = 1,
    /// HFENCE.GVMA over a range of guest-physical addresses, for the VMID given.
    GuestPhysicalVmid = 3,
    /// HFENCE.VVMA over a range of guest-virtual addresses, for the asking hart's VMID and the ASID given.
    GuestVirtualAsid = 5,
    /// The same, for all ASIDs.
    GuestVirtual = 6,
}

/// Makes a fence on all harts, the asking one included; says whether the firmware did.
pub(crate) fn fence_everywhere(fence: Fence, from: u64, length: u64, id: u64) -> bool {
    let [mask, base] = ALL;
    let [error, _] = call([mask, base, from, length, id, 0, fence as u64, RFENCE]);
    error == 0
}

/// Resets the machine, cold, for no reason; returns where the firmware can't.
pub(crate) fn reset() {
    call([1, 0, 0, 0, 0, 0, 0, SYSTEM_RESET]);
}

/// Looks which console the firmware has.
pub(crate) fn start() {
    HAS_CONSOLE.store(has(CONSOLE), Ordering::Relaxed);
}

/// Prints through the firmware: slow, and there before any device tree was read.
pub(crate) fn print(text: &str) {
    for byte in text.bytes() {
        if byte == b'\n' {
            put(b'\r');
        }
        put(byte);
    }
}

fn put(byte: u8) {
    if HAS_CONSOLE.load(Ordering::Relaxed) {
        // console_write_byte
        call([byte.into(), 0, 0, 0, 0, 0, 2, CONSOLE]);
    } else {
        call([byte.into(), 0, 0, 0, 0, 0, 0, LEGACY_PUTCHAR]);
    }
}
