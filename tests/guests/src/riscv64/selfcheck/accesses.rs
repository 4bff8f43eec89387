//! Loads and stores of registers of devices in every form: compressed and not, sign- and zero-extending, of
//! floating-point registers, misaligned, atomic. What is decoded wrongly shows as a wrong value, or as a program
//! counter that is off by two.

use core::arch::asm;

use isa_plic::Register;
use isa_rv::cause;

use crate::arch::mmio::{load8, load32, store8, store32};
use crate::runtime::faults::{Fault, attempt};
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

/// An access with its base in a0, operand or result in a1 and a floating-point register; the value that a1 has then.
macro_rules! access {
    ($base:expr, $value:expr, $($code:tt),+) => {{
        let mut a1: u64 = $value;
        let done = attempt(||
            // SAFETY: registers of devices that can hold anything, and registers that nobody uses here.
            unsafe { asm!($($code),+, in("a0") $base, inout("a1") a1, options(nostack)) });
        done.map(|()| a1).map_err(|Fault { cause, .. }| cause)
    }};
}

/// SCR: holds a byte.
const SCRATCH: u64 = isa_uart::SCR;
const MARK: u64 = 0xdead_beef_dead_beef;

pub(super) fn run(report: &mut Report) {
    bytes(report, machine().uart + SCRATCH);
    let Some(plic) = machine().parts.plic else {
        report.skip("words of the PLIC");
        return;
    };
    // Enables of sources 1 to 63, none of which does anything: their priorities are 0.
    let word = plic.register(Register::Enable(plic.context, 1));
    words(report, word);
    floats(report, word);
    compressed(report, word);
    refused(report, word);
    store32(word, 0);
}

fn bytes(report: &mut Report, at: u64) {
    store8(at, 0x85);
    report.equal("lb extends the sign", access!(at, MARK, "lb a1, 0(a0)"), Ok(!0x7f | 0x05));
    report.equal("lbu does not", access!(at, MARK, "lbu a1, 0(a0)"), Ok(0x85));
    report.equal("a load to x0 changes nothing", access!(at, MARK, "lb zero, 0(a0)"), Ok(MARK));
    report.equal("sb", access!(at, 0x177, "sb a1, 0(a0)").map(|_| load8(at)), Ok(0x77));
    report.equal("sb of x0", access!(at, MARK, "sb zero, 0(a0)").map(|_| load8(at)), Ok(0));
    store8(at, 0x85);
    report.equal("an offset below", access!(at + 40, MARK, "lbu a1, -40(a0)"), Ok(0x85));
    // The result goes where the address came from.
    let mut base = at;
    // SAFETY: a load of a register that does not mind.
    unsafe { asm!("lbu {0}, 0({0})", inout(reg) base, options(nostack)) };
    report.equal("a load over its own base", base, 0x85);
    if !machine().parts.has("zcb") {
        report.skip("c.lbu, c.sb");
        return;
    }
    // c.lbu a1, 0(a0); c.sb a1, 0(a0)
    report.equal("c.lbu", access!(at, MARK, ".2byte 0x810c"), Ok(0x85));
    report.equal("c.sb", access!(at, 0x29, ".2byte 0x890c").map(|_| load8(at)), Ok(0x29));
}

fn words(report: &mut Report, at: u64) {
    store32(at, 0x8000_0001);
    report.equal("lw extends the sign", access!(at, MARK, "lw a1, 0(a0)"), Ok(0xffff_ffff_8000_0001));
    report.equal("lwu does not", access!(at, MARK, "lwu a1, 0(a0)"), Ok(0x8000_0001));
    let stored = access!(at, 0x77_1234_5678, "sw a1, 0(a0)").map(|_| load32(at));
    report.equal("sw", stored, Ok(0x1234_5678));
}

/// Encoded by hand: for the compiler this target has no floating-point registers.
fn floats(report: &mut Report, at: u64) {
    if !machine().parts.has_letter('d') {
        report.skip("flw, fsw");
        return;
    }
    store32(at, 0x3fc0_0000);
    // flw fa0, 0(a0); fmv.x.d a1, fa0: what is narrower than the register is boxed.
    let loaded = access!(at, MARK, ".4byte 0x00052507", ".4byte 0xe20505d3");
    report.equal("flw boxes its value", loaded, Ok(0xffff_ffff_3fc0_0000));
    // A kernel saves what is dirty (Priv, "Extension Context Status"). FS is set to clean, and read after the same flw.
    let dirty = access!(
        at,
        0,
        "li a1, 3 << 13",
        "csrc sstatus, a1",
        "li a1, 2 << 13",
        "csrs sstatus, a1",
        ".4byte 0x00052507",
        "csrr a1, sstatus"
    );
    report.equal(
        "and makes the registers dirty",
        dirty.map(|status| (status >> 13 & 3, status >> 63)),
        Ok((3, 1)),
    );
    // fmv.w.x fa1, a1; fsw fa1, 0(a0)
    let stored = access!(at, 0x4049_0fdb, ".4byte 0xf00585d3", ".4byte 0x00b52027").map(|_| load32(at));
    report.equal("fsw", stored, Ok(0x4049_0fdb));
}

fn compressed(report: &mut Report, at: u64) {
    store32(at, 0x8000_0003);
    // c.lw a1, 0(a0); c.sw a1, 0(a0)
    report.equal("c.lw extends the sign", access!(at, MARK, ".2byte 0x410c"), Ok(0xffff_ffff_8000_0003));
    report.equal("c.sw", access!(at, 0x5005, ".2byte 0xc10c").map(|_| load32(at)), Ok(0x5005));
    // mv t0, sp; mv sp, a0; c.lwsp a1, 0(sp); mv sp, t0
    let mut a1 = MARK;
    // SAFETY: interrupts are masked, and a load that faults would not be stepped over but lose the stack: it has
    // just been shown not to.
    unsafe {
        asm!(
            "mv t0, sp", "mv sp, a0", ".2byte 0x4582", "mv sp, t0",
            in("a0") at, inout("a1") a1, out("t0") _
        )
    };
    report.equal("c.lwsp", a1, 0x5005);
}

fn refused(report: &mut Report, at: u64) {
    if !machine().hypervised {
        report.skip("accesses that no device here has");
        return;
    }
    let load = [cause::LOAD_ACCESS, cause::LOAD_MISALIGNED];
    let store = [cause::STORE_ACCESS, cause::STORE_MISALIGNED];
    for offset in 1..4 {
        let told = access!(at + offset, MARK, "lw a1, 0(a0)");
        report.check("a misaligned lw is refused", told.is_err_and(|cause| load.contains(&cause)));
        let told = access!(at + offset, MARK, "sw a1, 0(a0)");
        report.check("a misaligned sw is refused", told.is_err_and(|cause| store.contains(&cause)));
    }
    let whole =
        |told: Result<u64, u64>, refusals: &[u64]| told.map_or_else(|c| refusals.contains(&c), |_| true);
    let eight = at & !7;
    report.check("ld is done or refused", whole(access!(eight, MARK, "ld a1, 0(a0)"), &load));
    report.check("sd is done or refused", whole(access!(eight, 0, "sd a1, 0(a0)"), &store));
    // c.ld a1, 0(a0); c.sd a1, 0(a0)
    report.check("c.ld is done or refused", whole(access!(eight, MARK, ".2byte 0x610c"), &load));
    report.check("c.sd is done or refused", whole(access!(eight, 0, ".2byte 0xe10c"), &store));
    store32(at, 0x55);
    let told = access!(at, 1, "amoadd.w a1, a1, (a0)");
    report
        .check("an atomic operation on a device is refused", told.is_err_and(|cause| store.contains(&cause)));
    report.equal("and has no effect", load32(at), 0x55);
    let told = access!(at, 1, "lr.w a1, (a0)");
    report.check("so is a reservation", told.is_err_and(|cause| load.contains(&cause)));
}
