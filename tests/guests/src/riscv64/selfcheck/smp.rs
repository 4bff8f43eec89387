//! Several harts: started, stopped and started again (SBI, HSM), and interrupts between them. Each answers only
//! while its floating-point and vector registers are what it put there: they are its own.

use isa_firmware::sbi::{Error, Extension, hsm, ipi};

use crate::arch::firmware::call;
use crate::arch::irq;
use crate::arch::selfcheck::units;
use crate::runtime::clock::within;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::registers::irq_waits;
use crate::runtime::say;
use crate::selfcheck::Report;

const SECOND: u64 = 1_000_000_000;
const STARTED: i64 = 0;
const STOPPED: i64 = 1;

pub(super) fn run(report: &mut Report) {
    let others = 1..machine().cpus().len();
    if others.is_empty() {
        report.skip("several harts");
        return;
    }
    for index in others.clone() {
        say!("hart {}:", machine().cpus()[index]);
        report.equal("it is stopped", state(index), STOPPED);
        report.equal("it is started", cpus::power_on(index), 0);
        report.check("it starts, with its argument", within(SECOND, || cpus::counts(index).0 == 1));
        report.equal("it runs", state(index), STARTED);
        report.equal("it can't be started twice", cpus::power_on(index), Error::AlreadyAvailable as i32);
        report.check("an IPI reaches it and it answers", is_answered(index));
        report.check("a second one, too", is_answered(index));
    }
    report.check("an IPI to all reaches them", {
        let before = taken();
        call(Extension::Ipi, ipi::SEND_IPI, [0, u64::MAX, 0, 0]);
        within(SECOND, || taken() == before + others.len() as u64)
    });
    drain();
    units::beside_others(report, || others.clone().all(is_answered));

    cpus::order(Order::Off);
    call(Extension::Ipi, ipi::SEND_IPI, [0, u64::MAX, 0, 0]);
    drain();
    report.check("all others stop", within(SECOND, || others.clone().all(|index| state(index) == STOPPED)));
    cpus::order(Order::Answer);
    for index in others {
        report.equal("it is started again", cpus::power_on(index), 0);
        report.check("it starts again", within(SECOND, || cpus::counts(index).0 == 2));
        report.check("and answers again", is_answered(index));
    }
}

fn state(index: usize) -> i64 {
    let (error, value) = call(Extension::Hsm, hsm::HART_GET_STATUS, [machine().cpus()[index], 0, 0, 0]);
    if error == 0 { value as i64 } else { error }
}

/// Interrupts that all others have taken.
fn taken() -> u64 {
    (1..machine().cpus().len()).map(|index| cpus::counts(index).1).sum()
}

/// Sends an interrupt and waits for the answer.
fn is_answered(index: usize) -> bool {
    let before = cpus::counts(index).1;
    irq::send(machine().cpus()[index]);
    let answered = within(SECOND, irq_waits);
    irq::forget();
    answered && cpus::counts(index).1 == before + 1
}

/// Takes all answers.
fn drain() {
    while within(SECOND / 100, irq_waits) {
        irq::forget();
    }
}
