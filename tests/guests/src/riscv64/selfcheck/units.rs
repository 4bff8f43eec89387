//! Floating-point and vector registers stay a CPU's own, whoever else runs meanwhile.
//!
//! Encoded by the assembler with the extensions named: for the compiler this target has no such registers, so nobody
//! else uses them.

use core::arch::asm;

use atomic::{AtomicU64, Ordering};

use crate::arch::irq;
use crate::arch::power::own_id;
use crate::arch::registers::{TIMER, clear_bits, set_bits};
use crate::runtime::clock::{ticks, within};
use crate::runtime::machine::machine;
use crate::runtime::registers::wfi;
use crate::runtime::timer;
use crate::selfcheck::Report;
use crate::selfcheck::smp::{is_answered, others};

const MILLISECOND: u64 = 1_000_000;

/// `$do` for each of some floating-point registers with a number of its own.
macro_rules! floats {
    ($do:ident) => {
        $do!("f0" 1, "f1" 2, "f7" 3, "f8" 4, "f15" 5, "f16" 6, "f23" 7, "f24" 8, "f30" 9, "f31" 10)
    };
}

/// What tells the numbers of this guest from another's.
static SALT: AtomicU64 = AtomicU64::new(0);

/// Chooses numbers that no other guest has.
pub(crate) fn salt() {
    SALT.store(timer::now() << 16, Ordering::Relaxed);
}

/// What the numbers of this CPU have in common.
fn own() -> u64 {
    own_id() << 8 | SALT.load(Ordering::Relaxed)
}

/// Puts what belongs to this CPU into the registers.
pub(crate) fn fill() {
    let own = own();
    macro_rules! put {
        ($($register:literal $number:literal),*) => {
            // SAFETY: nobody uses these registers.
            unsafe { $(
                asm!(".option push", ".option arch, +d", concat!("fmv.d.x ", $register, ", {}"), ".option pop",
                    in(reg) own | $number, options(nomem, nostack));
            )* }
        };
    }
    if machine().parts.has_letter('d') {
        floats!(put);
        // SAFETY: as above: rounding mode and flags.
        unsafe { asm!("csrw 0x003, {}", in(reg) 0x20 | own >> 8 & 0x1f) };
    }
    if machine().parts.has_letter('v') {
        // SAFETY: as above.
        unsafe {
            asm!(
                ".option push", ".option arch, +v",
                "vsetvli zero, zero, e64, m1, ta, ma",
                "vsetvli t0, zero, e64, m8, ta, ma",
                "vmv.v.x v0, {a}", "vmv.v.x v8, {b}", "vmv.v.x v16, {c}", "vmv.v.x v24, {d}",
                "vsetivli zero, 1, e64, m1, ta, ma",
                ".option pop",
                a = in(reg) own | 1, b = in(reg) own | 2, c = in(reg) own | 3, d = in(reg) own | 4, out("t0") _,
            );
        }
    }
}

/// Whether they are what [`fill`] made them.
pub(crate) fn are_intact() -> bool {
    let own = own();
    let mut well = true;
    macro_rules! look {
        ($($register:literal $number:literal),*) => {$(
            let value: u64;
            // SAFETY: reads a register.
            unsafe {
                asm!(".option push", ".option arch, +d", concat!("fmv.x.d {}, ", $register), ".option pop",
                    out(reg) value, options(nomem, nostack))
            };
            well &= value == own | $number;
        )*};
    }
    if machine().parts.has_letter('d') {
        floats!(look);
        let fcsr: u64;
        // SAFETY: reads a register.
        unsafe { asm!("csrr {}, 0x003", out(reg) fcsr) };
        well &= fcsr == 0x20 | own >> 8 & 0x1f;
    }
    if machine().parts.has_letter('v') {
        let [a, b, c, d, length, kind]: [u64; 6];
        // SAFETY: reads registers.
        unsafe {
            asm!(
                ".option push", ".option arch, +v",
                "vmv.x.s {a}, v7", "vmv.x.s {b}, v8", "vmv.x.s {c}, v23", "vmv.x.s {d}, v31",
                "csrr {length}, vl", "csrr {kind}, vtype",
                ".option pop",
                a = out(reg) a, b = out(reg) b, c = out(reg) c, d = out(reg) d,
                length = out(reg) length, kind = out(reg) kind,
            );
        }
        well &= [a, b, c, d] == [own | 1, own | 2, own | 3, own | 4];
        // e64, m1, ta, ma
        well &= length == 1 && kind == 0xd8;
    }
    well
}

pub(super) fn run(report: &mut Report) {
    if !machine().parts.has_letter('d') {
        report.skip("floating-point registers");
        return;
    }
    fill();
    report.check("floating-point and vector registers keep what they are given", are_intact());
    for _ in 0..5 {
        pause();
    }
    report.check("over waits as well", are_intact());
}

/// While other CPUs of this guest, with registers of their own, take their turns on this one's processor.
/// Each answers only while they are what it put there.
pub(super) fn beside_others(report: &mut Report) {
    if !machine().parts.has_letter('d') || others().is_empty() {
        return;
    }
    fill();
    let mut rounds = 0;
    while rounds < 50 && others().all(is_answered) && are_intact() {
        rounds += 1;
    }
    report.equal("floating-point and vector registers stay each CPU's own", rounds, 50);
    // Off and on again in the CPU itself: the registers stay.
    // SAFETY: nobody uses the units meanwhile.
    unsafe { asm!("csrc sstatus, {}", in(reg) 3_u64 << 13 | 3 << 9) };
    let answered = others().all(is_answered);
    set_bits!("sstatus", 1 << 13 | 1 << 9);
    report.check("also while they are switched off", answered && are_intact());
}

/// Some milliseconds in which others may run.
fn pause() {
    let end = timer::now() + ticks(2 * MILLISECOND);
    timer::arm(end);
    irq::listen_to_timer();
    within(3 * MILLISECOND, || {
        wfi();
        timer::now() >= end
    });
    clear_bits!("sie", TIMER);
    timer::stop();
}
