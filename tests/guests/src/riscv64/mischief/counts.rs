//! Not mischief, but its victim: whether others are in a guest's count of cycles.

use isa_firmware::sbi::{Extension, pmu};

use crate::arch::firmware::call;
use crate::arch::registers::get;
use crate::runtime::clock::ticks;
use crate::runtime::{say, timer};

/// Cycles and time that pass while nothing else is done.
fn spin(cycles: fn() -> u64, nanos: u64) -> u64 {
    let (begun, before) = (timer::now(), cycles());
    while timer::now() - begun < ticks(nanos) {
        core::hint::spin_loop();
    }
    let (ended, after) = (timer::now(), cycles());
    (after - before) / (ended - begun)
}

/// Says for ever how many of the hart's cycles were this guest's, in percent.
pub(super) fn run() {
    // Nothing was asked for yet: the hart's own.
    let of_hart = spin(|| get!("cycle"), 50_000_000).max(1);
    let (error, index) =
        call(Extension::Pmu, pmu::COUNTER_CONFIG_MATCHING, [0, 1, 0, pmu::CPU_CYCLES.into()]);
    let started = call(Extension::Pmu, pmu::COUNTER_START, [index, 1, pmu::START_SET_INIT_VALUE, 0]);
    if (error, started.0) != (0, 0) {
        say!("FAIL there is no counter of cycles: {error}, {}", started.0);
        return;
    }
    loop {
        let own = spin(|| get!("cycle"), 300_000_000);
        say!("MISCHIEF counts: {} % of the cycles", own * 100 / of_hart);
    }
}
