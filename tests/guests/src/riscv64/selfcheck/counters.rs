//! The hart's counts of cycles and instructions, by the firmware (SBI, PMU).

use isa_firmware::sbi::{Extension, pmu};

use crate::arch::firmware::call;
use crate::arch::registers::get;
use crate::runtime::clock::within;
use crate::selfcheck::Report;

const SECOND: u64 = 1_000_000_000;
/// Far from what a hart has counted since it was switched on.
const BEGIN: u64 = 1 << 60;

fn ask(function: u32, arguments: [u64; 4]) -> (i64, u64) {
    call(Extension::Pmu, function, arguments)
}

pub(super) fn run(report: &mut Report) {
    let (_, count) = ask(pmu::NUM_COUNTERS, [0; 4]);
    let all = (0..count.min(63)).filter(|index| ask(pmu::COUNTER_GET_INFO, [*index, 0, 0, 0]).0 == 0);
    let all: u64 = all.map(|index| 1 << index).sum();
    counter(report, "cycles", pmu::CPU_CYCLES, 0xc00, all, || get!("cycle"));
    counter(report, "instructions", pmu::INSTRUCTIONS, 0xc02, all, || get!("instret"));
}

fn counter(report: &mut Report, name: &str, event: u16, csr: u64, all: u64, read: fn() -> u64) {
    let (error, index) = ask(pmu::COUNTER_CONFIG_MATCHING, [0, all, 0, event.into()]);
    if error != 0 {
        report.skip(name);
        return;
    }
    let info = ask(pmu::COUNTER_GET_INFO, [index, 0, 0, 0]);
    report.equal(name, (info.0, info.1 >> 63, info.1 & 0xfff), (0, 0, csr));
    let set = pmu::START_SET_INIT_VALUE;
    report.equal("  they are counted from a value", ask(pmu::COUNTER_START, [index, 1, set, BEGIN]).0, 0);
    let first = read();
    report.check("  which is where they begin", (BEGIN..BEGIN + (1 << 50)).contains(&first));
    report.check("  they go on", within(SECOND, || read() > first));
    report.equal("  they are stopped", ask(pmu::COUNTER_STOP, [index, 1, 0, 0]).0, 0);
    let stopped = read();
    report.check("  where they had come to", stopped > first && stopped == read());
    report.equal("  they are started again", ask(pmu::COUNTER_START, [index, 1, 0, 0]).0, 0);
    report.check("  and go on from there", within(SECOND, || read() > stopped) && read() < BEGIN + (1 << 50));
    let reset = ask(pmu::COUNTER_STOP, [index, 1, pmu::STOP_RESET, 0]).0;
    report.equal("  the counter is given back", reset, 0);
}
