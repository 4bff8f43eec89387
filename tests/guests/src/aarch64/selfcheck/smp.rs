//! Several CPUs: on, off and on again (PSCI 6.6), and interrupts between them.

use isa_firmware::psci::{self, AffinityInfo, Status};

use crate::arch::irq::ANSWER;
use crate::runtime::clock::within;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::registers::irq_waits;
use crate::runtime::{firmware, say};
use crate::selfcheck::Report;

const SECOND: u64 = 1_000_000_000;

pub(super) fn run(report: &mut Report) {
    let others = 1..machine().cpus().len();
    if others.is_empty() {
        report.skip("several CPUs");
        return;
    }
    for index in others.clone() {
        say!("CPU {index}:");
        report.equal("it is off", state(index), AffinityInfo::Off as i32);
        report.equal("it is powered on", cpus::power_on(index), Status::Success as i32);
        report.check("it starts, with its argument", within(SECOND, || cpus::counts(index).0 == 1));
        report.equal("it is on", state(index), AffinityInfo::On as i32);
        report.equal("it can't be powered on twice", cpus::power_on(index), Status::AlreadyOn as i32);
        report.check("an SGI reaches it and it answers", is_answered(index));
        report.check("a second one, too", is_answered(index));
    }
    report.check("an SGI to all others reaches them", {
        let before: u64 = taken();
        machine().parts.gic.send_others(5);
        within(SECOND, || taken() == before + others.len() as u64)
    });
    drain();

    cpus::order(Order::Off);
    machine().parts.gic.send_others(5);
    let all_off = || others.clone().all(|index| state(index) == AffinityInfo::Off as i32);
    report.check("all others power off", within(SECOND, all_off));
    cpus::order(Order::Answer);
    for index in others.clone() {
        report.equal("it is powered on again", cpus::power_on(index), Status::Success as i32);
        report.check("it starts again", within(SECOND, || cpus::counts(index).0 == 2));
        report.check("and answers again", is_answered(index));
    }
}

fn state(index: usize) -> i32 {
    firmware::status(psci::AFFINITY_INFO_64, [machine().cpus()[index], 0, 0])
}

/// Interrupts that all others have taken.
fn taken() -> u64 {
    (1..machine().cpus().len()).map(|index| cpus::counts(index).1).sum()
}

/// Sends an SGI and waits for the answer.
fn is_answered(index: usize) -> bool {
    let gic = machine().parts.gic;
    let before = cpus::counts(index).1;
    gic.send(2, machine().cpus()[index]);
    let answered = within(SECOND, irq_waits);
    let acknowledged = gic.acknowledge();
    if acknowledged & 0x3ff == ANSWER {
        gic.end(acknowledged);
    }
    answered && acknowledged & 0x3ff == ANSWER && cpus::counts(index).1 == before + 1
}

/// Takes all answers.
fn drain() {
    let gic = machine().parts.gic;
    while within(SECOND / 100, irq_waits) {
        let acknowledged = gic.acknowledge();
        gic.end(acknowledged);
    }
}
