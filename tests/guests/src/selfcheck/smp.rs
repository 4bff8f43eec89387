//! Several CPUs: on, off and on again (PSCI, 6.6; SBI, "Hart State Management"), and interrupts between them.

use core::ops::Range;

use super::Report;
use crate::arch::{irq, power};
use crate::runtime::clock::within;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::registers::irq_waits;
use crate::runtime::say;

const SECOND: u64 = 1_000_000_000;

/// Leaves the others on: they answer.
pub(crate) fn run(report: &mut Report) {
    if others().is_empty() {
        report.skip("several CPUs");
        return;
    }
    for index in others() {
        say!("CPU {index}:");
        report.equal("it is off", state(index), power::OFF);
        report.equal("it is powered on", cpus::power_on(index), power::DONE);
        report.check("it starts, with its argument", within(SECOND, || cpus::counts(index).0 == 1));
        report.equal("it is on", state(index), power::ON);
        report.equal("it can't be powered on twice", cpus::power_on(index), power::ALREADY_ON);
        report.check("an interrupt reaches it and it answers", is_answered(index));
        report.check("a second one, too", is_answered(index));
    }
    report.check("an interrupt to all others reaches them", {
        let before = taken();
        irq::send_others();
        within(SECOND, || taken() == before + others().len() as u64)
    });
    drain();

    cpus::order(Order::Off);
    irq::send_others();
    let all_off = || others().all(|index| state(index) == power::OFF);
    report.check("all others power off", within(SECOND, all_off));
    drain();
    cpus::order(Order::Answer);
    for index in others() {
        report.equal("it is powered on again", cpus::power_on(index), power::DONE);
        report.check("it starts again", within(SECOND, || cpus::counts(index).0 == 2));
        report.check("and answers again", is_answered(index));
    }
}

/// The CPUs but the first, which runs this.
pub(crate) fn others() -> Range<usize> {
    1..machine().cpus().len()
}

fn state(index: usize) -> i32 {
    power::state(machine().cpus()[index])
}

/// Interrupts that all others have taken.
fn taken() -> u64 {
    others().map(|index| cpus::counts(index).1).sum()
}

/// Sends an interrupt and waits for the answer.
pub(crate) fn is_answered(index: usize) -> bool {
    let before = cpus::counts(index).1;
    irq::send(machine().cpus()[index]);
    within(SECOND, irq_waits) && irq::take_answer() && cpus::counts(index).1 == before + 1
}

/// Takes all answers.
fn drain() {
    while within(SECOND / 100, irq_waits) {
        irq::take_answer();
    }
}
