//! Exceptions that a program of this machine causes, and what it learns of them (DDI 0487, D24.2.40).

use core::arch::asm;

use crate::runtime::faults::{Fault, attempt};
use crate::runtime::mmio::{load8, load32, load64, store32, store64};
use crate::runtime::registers::get;
use crate::selfcheck::Report;

/// Nothing lies here on QEMU's virt board: behind the virtio devices, before the platform bus.
const NOTHING: u64 = 0x0b00_0000;
/// Nor here, and it may be executed (`runtime::head`): below the second window of PCIe.
const NOTHING_FAR: u64 = 0x30_0000_0000;

const DATA_ABORT: u64 = 0x25;
const INSTRUCTION_ABORT: u64 = 0x21;
/// Synchronous external abort, not on a table walk.
const EXTERNAL: u64 = 0x10;
/// WnR
const WRITE: u64 = 1 << 6;

pub(super) fn run(report: &mut Report) {
    let undefined = || instruction(0);
    report.check("UDF is UNDEFINED", class_of(attempt(undefined)) == Some(0));
    // SAFETY: an EL2 register, which EL1 may not have.
    let el2 = attempt(|| unsafe { asm!("mrs {}, S3_4_C1_C1_0", out(reg) _) });
    report.check("HCR_EL2 is UNDEFINED", class_of(el2) == Some(0));
    // A breakpoint that is a program's own.
    let brk = attempt(|| instruction(1));
    report.check("BRK is an exception of its own class", class_of(brk) == Some(0x3c));
    report.check("SVC is an exception of its own class", class_of(attempt(|| instruction(2))) == Some(0x15));

    aborts(report, "load of 4 bytes from nothing", NOTHING + 0x20, 0, |address| {
        load32(address);
    });
    aborts(report, "load of 1 byte from nothing", NOTHING + 0x123, 0, |address| {
        load8(address);
    });
    aborts(report, "load of 8 bytes from nothing", NOTHING_FAR + 8, 0, |address| {
        load64(address);
    });
    aborts(report, "store of 4 bytes to nothing", NOTHING + 0x44, WRITE, |address| store32(address, 1));
    aborts(report, "store of 8 bytes to nothing", NOTHING_FAR, WRITE, |address| store64(address, 1));

    let target = NOTHING_FAR + 0x1000;
    // SAFETY: the call to nowhere comes back by the exception handler.
    let jump = attempt(|| unsafe { asm!("blr {}", in(reg) target, clobber_abi("C")) });
    let told = jump.err().map(|fault| (fault.class(), fault.iss() & 0x3f, fault.address));
    report.equal("a jump to nothing is an external abort", told, Some((INSTRUCTION_ABORT, EXTERNAL, target)));

    report.check("after all that the counter runs", get!("cntvct_el0") != 0);
}

fn class_of<T>(result: Result<T, Fault>) -> Option<u64> {
    result.err().map(|fault| fault.class())
}

/// UDF, BRK or SVC.
fn instruction(which: u8) {
    // SAFETY: each ends in the exception handler, which steps over it.
    unsafe {
        match which {
            0 => asm!("udf #0"),
            1 => asm!("brk #7"),
            _ => asm!("svc #7"),
        }
    }
}

fn aborts(report: &mut Report, what: &str, address: u64, write: u64, access: impl Fn(u64)) {
    let told = attempt(|| access(address)).err();
    let told = told.map(|fault| (fault.class(), fault.iss() & 0x3f, fault.iss() & WRITE, fault.address));
    report.equal(what, told, Some((DATA_ABORT, EXTERNAL, write, address)));
}
