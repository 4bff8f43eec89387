//! Calls of the firmware (SBI 2.0, "Binary Encoding"): ECALL with the extension in a7 and the function in a6;
//! a0 brings the error and a1 the value.

use core::sync::atomic::{AtomicBool, Ordering};

use isa_firmware::sbi::{Extension, base, dbcn, ipi, rfence, srst, time};

/// All harts, as a pair of mask and base.
const ALL: [u64; 2] = [0, u64::MAX];

/// Whether the firmware has a console of the newer kind.
static HAS_CONSOLE: AtomicBool = AtomicBool::new(false);

/// Calls a function of an extension with a0 to a4, and brings the error and the value.
#[inline]
fn ask(extension: Extension, function: u32, [a0, a1, a2, a3, a4]: [u64; 5]) -> [u64; 2] {
    call([a0, a1, a2, a3, a4, 0, function.into(), extension.id().into()])
}

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
fn has(extension: Extension) -> bool {
    // Which value says that it is there is the firmware's choice.
    let [error, value] = ask(Extension::Base, base::PROBE_EXTENSION, [extension.id().into(), 0, 0, 0, 0]);
    error == 0 && value != 0
}

/// The specification's version that the firmware implements, major and minor; 0.1 has no call that says it.
pub(crate) fn version() -> (u64, u64) {
    match ask(Extension::Base, base::GET_SPEC_VERSION, [0; 5]) {
        [0, version] => (version >> 24 & 0x7f, version & 0xff_ffff),
        _ => (0, 1),
    }
}

/// Asks for a timer interrupt at `ticks` of the time counter.
pub(crate) fn set_timer(ticks: u64) {
    ask(Extension::Time, time::SET_TIMER, [ticks, 0, 0, 0, 0]);
}

/// Makes the supervisor software interrupt of a hart pending.
pub(crate) fn send_ipi(hart: u64) {
    ask(Extension::Ipi, ipi::SEND_IPI, [1, hart, 0, 0, 0]);
}

/// Fences that other harts are told to make.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Fence {
    /// FENCE.I
    Instructions = rfence::FENCE_I,
    /// SFENCE.VMA over a range of our own addresses.
    Own = rfence::SFENCE_VMA,
    /// HFENCE.GVMA over a range of guest-physical addresses, for the VMID given.
    GuestPhysicalVmid = rfence::HFENCE_GVMA_VMID,
    /// HFENCE.VVMA over a range of guest-virtual addresses, for the asking hart's VMID and the ASID given.
    GuestVirtualAsid = rfence::HFENCE_VVMA_ASID,
    /// The same, for all ASIDs.
    GuestVirtual = rfence::HFENCE_VVMA,
}

/// Makes a fence on all harts, the asking one included; says whether the firmware did.
pub(crate) fn fence_everywhere(fence: Fence, from: u64, length: u64, id: u64) -> bool {
    let [mask, base] = ALL;
    let [error, _] = ask(Extension::Rfence, fence as u32, [mask, base, from, length, id]);
    error == 0
}

/// Resets the machine, cold, for no reason; returns where the firmware can't.
pub(crate) fn reset() {
    let (kind, reason) = (srst::COLD_REBOOT.into(), srst::NO_REASON.into());
    ask(Extension::Srst, srst::SYSTEM_RESET, [kind, reason, 0, 0, 0]);
}

/// Looks which console the firmware has.
pub(crate) fn start() {
    HAS_CONSOLE.store(has(Extension::Dbcn), Ordering::Relaxed);
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
        ask(Extension::Dbcn, dbcn::WRITE_BYTE, [byte.into(), 0, 0, 0, 0]);
    } else {
        ask(Extension::LegacyConsolePutchar, 0, [byte.into(), 0, 0, 0, 0]);
    }
}
