//! The PL031 (DDI 0224): seconds, and an alarm.

use crate::runtime::clock::within;
use crate::runtime::machine::machine;
use crate::runtime::mmio::{load32, store32};
use crate::runtime::registers::irq_waits;
use crate::selfcheck::Report;

const DR: u64 = 0x00;
const MR: u64 = 0x04;
const LR: u64 = 0x08;
const IMSC: u64 = 0x10;
const RIS: u64 = 0x14;
const ICR: u64 = 0x1c;
/// SPI 2
const INTERRUPT: u32 = 34;
const SECOND: u64 = 1_000_000_000;

pub(super) fn run(report: &mut Report) {
    let Some(rtc) = machine().rtc else {
        report.skip("the real-time clock");
        return;
    };
    let gic = machine().parts.gic;
    let begun = load32(rtc + DR);
    report.check("the clock is of this century", begun > 946_684_800);
    report.check("it counts seconds", within(3 * SECOND, || load32(rtc + DR) > begun));
    gic.enable(INTERRUPT);
    store32(rtc + ICR, 1);
    store32(rtc + MR, load32(rtc + DR) + 1);
    store32(rtc + IMSC, 1);
    report.check("its alarm comes", within(4 * SECOND, || load32(rtc + RIS) & 1 != 0));
    report.check("and interrupts", within(SECOND, irq_waits));
    let taken = gic.acknowledge();
    store32(rtc + ICR, 1);
    gic.end(taken);
    report.equal("as its own interrupt, once", (taken & 0x3ff, irq_waits()), (INTERRUPT, false));
    store32(rtc + IMSC, 0);
    gic.disable(INTERRUPT);
    let now = load32(rtc + DR);
    store32(rtc + LR, 1000);
    report.check("it can be set", (1000..1010).contains(&load32(rtc + DR)));
    store32(rtc + LR, now);
}
