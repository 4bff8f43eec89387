//! Exceptions that a program of this machine causes, and what it learns of them (Priv, table of causes).

use core::arch::asm;

use isa_rv::cause;

use crate::arch::mmio::{load8, load32, load64, store32, store64};
use crate::runtime::faults::{Fault, attempt};
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

/// Nothing lies here.
const NOTHING: u64 = 0x40_0000_0000;

macro_rules! raises {
    ($report:expr, $what:literal, $cause:expr, $($code:tt),+) => {{
        // SAFETY: what faults is stepped over; what does not changes a register that is given up.
        let told = attempt(|| unsafe { asm!($($code),+, out("t0") _, out("t1") _) });
        $report.equal($what, told.err().map(|fault| fault.cause), Some($cause));
    }};
}

/// Runs an instruction in user mode; the cause of the exception that it makes, or 0 if it makes none. The vectors come
/// back in supervisor mode.
macro_rules! program {
    ($code:literal) => {{
        // SAFETY: what faults is stepped over; user mode ends with the first exception, here or at the last CSR.
        unsafe {
            let cause: u64;
            crate::runtime::faults::tolerate(true);
            core::arch::asm!(
                "la t0, 1f",
                "csrw sepc, t0",
                // SPP and SPIE: user mode, and interrupts stay masked behind it.
"li t0, 0x120",
                "csrc sstatus, t0",
                "li {cause}, 0",
                "sret",
                ".balign 4",
                "1:",
                $code,
                "csrr {cause}, scause",
                cause = out(reg) cause,
                out("t0") _,
            );
            crate::runtime::faults::tolerate(false);
            cause
        }
    }};
}

pub(super) use program;

pub(super) fn run(report: &mut Report) {
    raises!(report, "a word of zeros is illegal", cause::ILLEGAL, ".2byte 0");
    raises!(report, "a word of ones is illegal", cause::ILLEGAL, ".4byte 0xffffffff");
    raises!(report, "an unknown CSR is illegal", cause::ILLEGAL, "csrr t0, 0x5ff");
    raises!(report, "machine mode's CSRs are illegal", cause::ILLEGAL, "csrr t0, 0x300");
    raises!(report, "a write of a read-only CSR is illegal", cause::ILLEGAL, "csrw 0xc01, t0");
    raises!(report, "EBREAK is a breakpoint", cause::BREAKPOINT, ".4byte 0x00100073");
    raises!(report, "C.EBREAK is a breakpoint", cause::BREAKPOINT, ".2byte 0x9002");
    if machine().hypervised {
        raises!(report, "a hypervisor's CSRs are illegal", cause::ILLEGAL, "csrr t0, 0x600");
        raises!(report, "those of its guests, too", cause::ILLEGAL, "csrr t0, 0x200");
        raises!(report, "and HFENCE.GVMA", cause::ILLEGAL, ".4byte 0x62000073");
        raises!(report, "and HLV.W", cause::ILLEGAL, "la t1, 1f", "1: .4byte 0x680342f3");
    } else {
        report.skip("what only a hypervisor has");
    }
    report.equal("a program can't wait for interrupts", program!("wfi"), cause::ILLEGAL);
    report.equal("nor reach a supervisor's CSRs", program!("csrr t0, sie"), cause::ILLEGAL);
    report.equal("but calls", program!("ecall"), cause::CALL_FROM_USER);
    let load = |what: &dyn Fn()| attempt(what).err().map(|Fault { cause, address }| (cause, address));
    for (what, address, width) in [
        ("a load of 1 byte from nothing", NOTHING + 0x123, 1),
        ("a load of 4 bytes from nothing", NOTHING + 0x20, 4),
        ("a load of 8 bytes from nothing", NOTHING + 8, 8),
    ] {
        let told = load(&|| match width {
            1 => drop(load8(address)),
            4 => drop(load32(address)),
            _ => drop(load64(address)),
        });
        report.equal(what, told, Some((cause::LOAD_ACCESS, address)));
    }
    let told = load(&|| store32(NOTHING + 0x44, 1));
    report.equal("a store of 4 bytes to nothing", told, Some((cause::STORE_ACCESS, NOTHING + 0x44)));
    let told = load(&|| store64(NOTHING, 1));
    report.equal("a store of 8 bytes to nothing", told, Some((cause::STORE_ACCESS, NOTHING)));
    let target = NOTHING + 0x1000;
    // SAFETY: the call to nowhere comes back by the exception handler.
    let told = load(&|| unsafe { asm!("jalr {}", in(reg) target, clobber_abi("C")) });
    report.equal("a jump to nothing", told, Some((cause::FETCH_ACCESS, target)));
}
