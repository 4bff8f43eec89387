//! The goldfish clock.

use isa_goldfish::{TIME_HIGH, TIME_LOW};

use crate::arch::mmio::load32;
use crate::runtime::clock::within;
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

const SECOND: u64 = 1_000_000_000;

pub(super) fn rtc(report: &mut Report) {
    let Some(rtc) = machine().rtc else {
        report.skip("the real-time clock");
        return;
    };
    // The low half is read first: the high one is of the same moment.
    let now = || {
        let low = u64::from(load32(rtc + TIME_LOW));
        u64::from(load32(rtc + TIME_HIGH)) << 32 | low
    };
    let begun = now();
    report.check("the clock is of this century", begun > 946_684_800 * SECOND);
    report.check("it counts", within(SECOND, || now() > begun));
}
