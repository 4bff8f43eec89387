//! Loads and stores of device registers that no syndrome describes: pairs, writeback, sign extension,
//! vector registers, exclusives, and what is not aligned.

use core::arch::asm;

use crate::runtime::faults::{self, attempt, tolerate};
use crate::runtime::machine::machine;
use crate::runtime::mmio::load32;
use crate::runtime::say;

/// The first two of the PL011's identification registers, and the last four.
const PERIPHERAL: u64 = 0xfe0;
const CELL: u64 = 0xff0;
/// Fractional baud rate, 6 bits, behind the integer one, 16 bits: they can hold anything.
const BAUD: u64 = 0x24;

fn check(what: &str, is: &[u64], should: &[u64]) {
    if is == should {
        say!("PASS ldst: {what}");
    } else {
        say!("FAIL ldst: {what}: {is:x?} instead of {should:x?}");
    }
}

/// An access, its results, and what they must be. The base is x0 = `$base`, the results are x1, x2 and x0.
macro_rules! load {
    ($what:tt, $base:expr, [$($expected:expr),*], $($code:tt),+) => {{
        let (mut x0, mut x1, mut x2): (u64, u64, u64) = ($base, !0, !0);
        let done = attempt(||
            // SAFETY: loads of identification registers, which change nothing; vector registers are used
            // by nobody here.
            unsafe {
                asm!($($code),+, inout("x0") x0, inout("x1") x1, inout("x2") x2, options(nostack))
            });
        if let Err(fault) = done {
            say!("FAIL ldst: {} is refused: {:x?}", $what, fault);
        } else {
            check($what, &[x1, x2, x0.wrapping_sub($base)], &[$($expected),*]);
        }
    }};
}

pub(super) fn run() {
    let (id, cell) = (machine().uart + PERIPHERAL, machine().uart + CELL);
    const KEPT: u64 = !0;
    load!("ldr w", id, [0x11, KEPT, 0], "ldr w1, [x0]");
    load!("ldr w, register offset", id, [0x10, 0, 0], "mov x2, #1", "ldr w1, [x0, x2, lsl #2]", "mov x2, #0");
    load!("ldr w, pre-indexed", id, [0x10, KEPT, 4], "ldr w1, [x0, #4]!");
    load!("ldr w, post-indexed", id, [0x11, KEPT, 16], "ldr w1, [x0], #16");
    load!("ldr w, post-indexed downwards", id, [0x11, KEPT, 0_u64.wrapping_sub(32)], "ldr w1, [x0], #-32");
    load!("ldrb post-indexed", id, [0x11, KEPT, 1], "ldrb w1, [x0], #1");
    load!("ldrh pre-indexed", id, [0x10, KEPT, 4], "ldrh w1, [x0, #4]!");
    load!("ldrsb", cell + 12, [!0 << 8 | 0xb1, KEPT, 0], "ldrsb x1, [x0]");
    load!("ldrsb w", cell + 12, [0xffff_ffb1, KEPT, 0], "ldrsb w1, [x0]");
    load!("ldrsw post-indexed", cell, [0x0d, KEPT, 4], "ldrsw x1, [x0], #4");
    load!("ldp w", id, [0x11, 0x10, 0], "ldp w1, w2, [x0]");
    load!("ldp w, pre-indexed", id, [0x0d, 0xf0, 16], "ldp w1, w2, [x0, #16]!");
    load!("ldp w, post-indexed", cell, [0x0d, 0xf0, 8], "ldp w1, w2, [x0], #8");
    load!("ldpsw", cell + 8, [0x05, 0xb1, 0], "ldpsw x1, x2, [x0]");
    load!("ldnp w", cell + 8, [0x05, 0xb1, 0], "ldnp w1, w2, [x0]");
    load!("ldur w", cell, [0x10, KEPT, 0], "ldur w1, [x0, #-12]");
    load!("ldar w", id, [0x11, KEPT, 0], "ldar w1, [x0]");
    pairs_of_stores();
    vectors(id, cell);
    tolerate(true);
    survived("64-bit loads", || exotic(id));
    survived("exclusives", || exclusives(machine().uart + BAUD));
    survived("unaligned accesses", || unaligned(id));
    survived("the same in the interrupt controller", || {
        exotic(machine().parts.gic.distributor());
        exclusives(machine().parts.gic.distributor() + 0x190);
        unaligned(machine().parts.gic.distributor());
    });
    tolerate(false);
}

fn pairs_of_stores() {
    let baud = machine().uart + BAUD;
    let before = [load32(baud), load32(baud + 4)];
    let read = || [load32(baud).into(), load32(baud + 4).into()];
    let mut base = baud;
    // SAFETY: the baud rate means nothing to an emulated UART, and is put back.
    let done = attempt(|| unsafe {
        asm!("stp {a:w}, {b:w}, [{base}], #8", a = in(reg) 0x1234, b = in(reg) 0x15, base = inout(reg) base)
    });
    check("stp w, post-indexed", &[done.is_ok().into(), base - baud], &[1, 8]);
    check("stp w stores both", &read(), &[0x1234, 0x15]);
    let mut base = baud - 4;
    // SAFETY: as above.
    let done =
        attempt(|| unsafe { asm!("str {a:w}, [{base}, #4]!", a = in(reg) 0x77, base = inout(reg) base) });
    check("str w, pre-indexed", &[done.is_ok().into(), base, load32(baud).into()], &[1, baud, 0x77]);
    // SAFETY: as above.
    let done = attempt(|| unsafe { asm!("stlr {a:w}, [{base}]", a = in(reg) 0x99, base = in(reg) baud) });
    check("stlr w", &[done.is_ok().into(), load32(baud).into()], &[1, 0x99]);
    // SAFETY: as above; `fmov s0, w` and `str s0, [x]`.
    let done =
        attempt(|| unsafe { asm!(".inst 0x1e270020", ".inst 0xbd000000", in("x1") 0x55, in("x0") baud) });
    check("str s", &[done.is_ok().into(), load32(baud).into()], &[1, 0x55]);
    // SAFETY: as before.
    unsafe {
        asm!("stp {a:w}, {b:w}, [{base}]", a = in(reg) before[0], b = in(reg) before[1], base = in(reg) baud)
    };
}

/// Encoded by hand: for the compiler this target has no vector registers.
fn vectors(id: u64, cell: u64) {
    // ldr s0, [x0]; fmov w1, s0
    load!("ldr s", id, [0x11, !0, 0], ".inst 0xbd400000", ".inst 0x1e260001");
    // ldr s0, [x0], #4; fmov w1, s0
    load!("ldr s, post-indexed", id, [0x11, !0, 4], ".inst 0xbc404400", ".inst 0x1e260001");
    // ldr b0, [x0]; fmov w1, s0
    load!("ldr b", cell + 12, [0xb1, !0, 0], ".inst 0x3d400000", ".inst 0x1e260001");
    // ldp s0, s1, [x0]; fmov w1, s0; fmov w2, s1
    load!("ldp s", cell, [0x0d, 0xf0, 0], ".inst 0x2d400400", ".inst 0x1e260001", ".inst 0x1e260022");
}

fn survived(what: &str, accesses: impl FnOnce()) {
    let before = faults::count();
    accesses();
    say!("PASS ldst: {what}: {} of them were refused", faults::count() - before);
}

/// Wider than the registers.
fn exotic(address: u64) {
    // SAFETY: loads of registers that do not mind, and of vector registers that nobody uses.
    unsafe {
        asm!("ldr x1, [x0]", in("x0") address, out("x1") _);
        asm!("ldp x1, x2, [x0]", in("x0") address, out("x1") _, out("x2") _);
        asm!("ldp x1, x2, [x0], #16", inout("x0") address => _, out("x1") _, out("x2") _);
        // ldr d0, [x0]; ldr q0, [x0]; ldp q0, q1, [x0]; ld1 {v0.4s}, [x0]; ld4 {v0.4s-v3.4s}, [x0]
        asm!(".inst 0xfd400000", ".inst 0x3dc00000", ".inst 0xad400400", ".inst 0x4c407800", ".inst 0x4c400800", in("x0") address);
    }
}

fn exclusives(address: u64) {
    // SAFETY: registers that can hold anything; only single attempts, nothing loops.
    unsafe {
        asm!("ldxr w1, [x0]", "stxr w2, w1, [x0]", in("x0") address, out("x1") _, out("x2") _);
        asm!("ldaxr x1, [x0]", "stlxr w2, x1, [x0]", in("x0") address & !7, out("x1") _, out("x2") _);
        asm!("ldxp w1, w3, [x0]", "stxp w2, w1, w3, [x0]", "clrex", in("x0") address & !7, out("x1") _, out("x2") _, out("x3") _);
        // swp w1, w2, [x0]; ldadd w1, w2, [x0]; cas w1, w2, [x0] (v8.1; elsewhere undefined)
        asm!(".inst 0xb8218002", ".inst 0xb8210002", ".inst 0x88a17c02", in("x0") address, inout("x1") 0_u64 => _, out("x2") _);
    }
}

fn unaligned(address: u64) {
    for offset in 1..8 {
        // SAFETY: loads of registers that do not mind.
        unsafe {
            asm!("ldr w1, [x0]", in("x0") address + offset, out("x1") _);
            asm!("ldrh w1, [x0]", in("x0") address + offset, out("x1") _);
            asm!("ldp w1, w2, [x0]", in("x0") address + offset, out("x1") _, out("x2") _);
            asm!("ldr x1, [x0], #3", inout("x0") address + offset => _, out("x1") _);
        }
    }
}
