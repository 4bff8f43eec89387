//! What the tree says that a CPU can do, it does: an instruction of each extension that has some.

use core::arch::asm;

use isa_rv::cause;

use crate::runtime::faults::attempt;
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

/// A cache block, as the largest are, and what atomic instructions and stores may change.
#[repr(C, align(256))]
struct Block([u64; 32]);

/// Runs an instruction where the tree names its extension; a0 has the address of memory of its own.
macro_rules! named {
    ($report:expr, $name:literal, $arch:literal, $code:literal) => {
        if machine().parts.has($name) {
            let block = Block([0; 32]);
            // SAFETY: it changes the block above, and registers that are given up.
            let done = attempt(|| unsafe {
                asm!(
                    ".option push",
                    concat!(".option arch, ", $arch),
                    $code,
                    ".option pop",
                    inout("a0") &raw const block => _,
                    inout("a1") 1_u64 => _,
                    out("a2") _,
                    out("a3") _,
                    options(nostack)
                )
            });
            $report.equal($name, done.map_err(|fault| fault.cause), Ok(()));
        } else {
            $report.skip($name);
        }
    };
}

pub(super) fn run(report: &mut Report) {
    named!(report, "zba", "+zba", "sh1add a1, a1, a1");
    named!(report, "zbb", "+zbb", "clz a1, a1");
    named!(report, "zbc", "+zbc", "clmul a1, a1, a1");
    named!(report, "zbs", "+zbs", "bset a1, a1, a1");
    named!(report, "zbkb", "+zbkb", "brev8 a1, a1");
    named!(report, "zicond", "+zicond", "czero.eqz a1, a1, a1");
    named!(report, "zicntr", "+zicsr", "rdtime a1");
    named!(report, "zihintpause", "+zihintpause", "pause");
    named!(report, "zimop", "+zimop", "mop.r.0 a1, a1");
    named!(report, "zacas", "+zacas", "amocas.d a2, a1, (a0)");
    named!(report, "zabha", "+zabha", "amoadd.b a1, a1, (a0)");
    named!(report, "zawrs", "+zawrs", "wrs.sto");
    named!(report, "zicboz", "+zicboz", "cbo.zero (a0)");
    named!(report, "zicbom", "+zicbom", "cbo.clean (a0)\n cbo.flush (a0)\n cbo.inval (a0)");
    named!(report, "zicbop", "+zicbop", "prefetch.r 0(a0)");
    named!(report, "zcb", "+zcb", "c.zext.b a1");
    named!(report, "svinval", "+svinval", "sfence.w.inval\n sinval.vma a1, x0\n sfence.inval.ir");
    named!(report, "zfa", "+d,+zfa", "fli.d fa0, 1.0");
    named!(report, "zfhmin", "+d,+zfhmin", "flh fa0, 0(a0)");
    named!(report, "zfh", "+d,+zfh", "fadd.h fa0, fa0, fa0");
    named!(report, "zvbb", "+v,+zvbb", "vsetivli x0, 1, e32, m1, ta, ma\n vbrev.v v0, v0");
    named!(report, "sstc", "+zicsr", "csrr a1, 0x14d");
    // What no guest gets, whatever the hart has: random numbers, and a stack of return addresses.
    for (what, csr) in [("seed is illegal", 0x015), ("ssp is illegal", 0x011)] {
        if !machine().hypervised {
            report.skip(what);
            continue;
        }
        // SAFETY: both are refused, or change a register that is given up.
        let told = attempt(|| unsafe {
            match csr {
                0x015 => asm!("csrrw a1, 0x015, zero", out("a1") _),
                _ => asm!("csrr a1, 0x011", out("a1") _),
            }
        });
        report.equal(what, told.map_err(|fault| fault.cause), Err(cause::ILLEGAL));
    }
}
