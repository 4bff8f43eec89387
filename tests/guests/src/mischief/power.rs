//! Never yielding, and coming and going.

use crate::arch::{irq, power};
use crate::runtime::clock::ticks;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::registers::{mask, spin_for_ever};
use crate::runtime::{firmware, say, timer};

/// How often `hotplug` has each CPU come and go.
const ROUNDS: u64 = 300;

/// Interrupts masked, and a loop of one instruction.
pub(super) fn spin() {
    mask();
    spin_for_ever();
}

/// The same on the first CPU, and a loop with interrupts on every other.
pub(super) fn spins() {
    irq::start();
    cpus::order(Order::Run);
    for index in 1..machine().cpus().len() {
        say!("MISCHIEF spins: CPU {index} powered on: {}", cpus::power_on(index));
    }
    spin();
}

/// Powers each other CPU on, which powers itself off again; suspends itself until it is off. Each call must do what
/// it says, once, whatever happens to the guest meanwhile.
pub(super) fn hotplug() {
    irq::start();
    irq::listen_to_timer();
    cpus::order(Order::Off);
    for round in 1..=ROUNDS {
        for index in 1..machine().cpus().len() {
            let status = cpus::power_on(index);
            if status != power::DONE {
                say!("FAIL hotplug: round {round}: the order for CPU {index} says {status}");
            }
            let id = machine().cpus()[index];
            while power::state(id) != power::OFF {
                // Interrupts are masked: what is pending wakes it all the same.
                timer::arm(timer::now() + ticks(50_000));
                let status = power::suspend();
                if status != power::DONE {
                    say!("FAIL hotplug: round {round}: the suspension says {status}");
                }
            }
            let (started, _) = cpus::counts(index);
            if started != round {
                say!("FAIL hotplug: round {round}: CPU {index} has started {started} times");
            }
        }
        if round.is_multiple_of(200) {
            say!("MISCHIEF hotplug: {round} rounds");
        }
    }
}

/// Resets at once: with the guest's start, a storm of resets.
pub(super) fn reset() {
    firmware::reset();
}

/// Powers off at once.
pub(super) fn off() {
    firmware::off();
}
