//! The counters, and the timer by `stimecmp` and by call (Priv, "Sstc"; SBI, TIME).

use core::arch::asm;

use crate::arch::irq::{self, TIMER_ID};
use crate::arch::registers::{TIMER, clear_bits, get};
use crate::arch::timer;
use crate::runtime::clock::{ticks, within};
use crate::runtime::interrupts;
use crate::runtime::registers::{irq_waits, mask, unmask, wfi};
use crate::selfcheck::Report;

const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MILLISECOND;

pub(super) fn run(report: &mut Report) {
    let begun = timer::now();
    report.check("time passes", within(SECOND, || timer::now() > begun));
    let [cycles, retired] = [counter_cycle(), counter_instret()];
    report.check("cycles are counted", within(SECOND, || counter_cycle() > cycles));
    report.check("instructions retired, too", within(SECOND, || counter_instret() > retired));
    irq::listen_to_timer();
    line(report, "stimecmp", timer::arm);
    line(report, "SET_TIMER", timer::arm_by_call);
    taken(report);
    clear_bits!("sie", TIMER);
}

fn counter_cycle() -> u64 {
    let value;
    // SAFETY: reads a counter.
    unsafe { asm!("rdcycle {}", out(reg) value) };
    value
}

fn counter_instret() -> u64 {
    let value;
    // SAFETY: reads a counter.
    unsafe { asm!("rdinstret {}", out(reg) value) };
    value
}

fn line(report: &mut Report, name: &str, arm: fn(u64)) {
    arm(timer::now() + ticks(100 * SECOND));
    report.check(name, within(SECOND, || !irq_waits()));
    arm(timer::now() + ticks(MILLISECOND));
    report.check("its time comes", within(SECOND, irq_waits) && get!("sip") & TIMER != 0);
    arm(u64::MAX);
    report.check("a later time takes it back", within(SECOND, || !irq_waits()));
    arm(0);
    report.check("a past time rings at once", within(SECOND, irq_waits));
    arm(u64::MAX);
    report.check("and is quiet again", within(SECOND, || !irq_waits()));
}

/// By way of the vector, and out of WFI.
fn taken(report: &mut Report) {
    let at = timer::now() + ticks(2 * MILLISECOND);
    let before = interrupts::count();
    timer::arm(at);
    while interrupts::count() == before && timer::now() < at + ticks(SECOND) {
        // Masked: one that comes before the wait has to end it.
        wfi();
        unmask();
        mask();
    }
    let (id, entered) = interrupts::last();
    report.equal("the timer interrupts WFI", (id, interrupts::count() - before), (TIMER_ID, 1));
    report.check("not before its time", entered >= at);
    report.check("and not a second later", entered < at + ticks(SECOND));
    let at = timer::now() + ticks(MILLISECOND);
    timer::arm(at);
    while timer::now() < at {
        wfi();
    }
    report
        .check("a masked interrupt ends WFI", interrupts::count() - before == 1 && within(SECOND, irq_waits));
    timer::stop();
    report.check("and is gone when the timer is stopped", within(SECOND, || !irq_waits()));
}
