//! Calls of the firmware that make no sense, as many as it takes.

use crate::arch::irq;
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::{faults, say, timer};

/// Calls of any function.
pub(crate) const ANY: u64 = 100_000;
/// Calls of those about other CPUs.
pub(crate) const ABOUT_CPUS: u64 = 20_000;

/// Calls `call` `count` times, with numbers from `seed`. A timer interrupt waits all the time, masked: what is suspended wakes at once.
pub(crate) fn calls(name: &str, seed: u64, count: u64, call: impl Fn(&mut Random)) {
    faults::tolerate(true);
    irq::start();
    irq::listen_to_timer();
    timer::arm(0);
    let mut random = Random::new(seed);
    for index in 1..=count {
        call(&mut random);
        if index % 10_000 == 0 {
            // Some of these calls set the timer.
            timer::arm(0);
            say!("MISCHIEF {name}: {index} calls, {} faults", faults::count());
        }
    }
}

/// Where a CPU could be told to begin: where it does no harm (`park`), where no code is, or anywhere.
pub(crate) fn entry(random: &mut Random, park: unsafe extern "C" fn()) -> u64 {
    match random.below(4) {
        0 => park as usize as u64,
        1 => machine().uart,
        _ => random.number(),
    }
}
