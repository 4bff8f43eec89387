//! Never yielding, and coming and going.

use isa_firmware::psci;

use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::registers::{instruction, mask};
use crate::runtime::{firmware, say, timer};

/// How often `hotplug` has each CPU come and go.
const ROUNDS: u64 = 300;

/// Interrupts masked, and a loop of one instruction.
pub(super) fn spin() {
    mask();
    instruction!("msr daifset, #0xf\n2: b 2b");
}

/// The same on the first CPU, and a loop with interrupts on every other.
pub(super) fn spins() {
    machine().gic.start();
    machine().gic.start_cpu();
    cpus::order(Order::Run);
    for index in 1..machine().cpus().len() {
        say!("MISCHIEF spins: CPU {index} powered on: {}", cpus::power_on(index));
    }
    spin();
}

/// Powers each other CPU on, which powers itself off again; suspends itself until it is off. Each call must do what
/// it says, once, whatever happens to the guest meanwhile.
pub(super) fn hotplug() {
    machine().gic.start();
    machine().gic.start_cpu();
    machine().gic.enable(timer::VIRTUAL_ID);
    cpus::order(Order::Off);
    for round in 1..=ROUNDS {
        for index in 1..machine().cpus().len() {
            let status = cpus::power_on(index);
            if status != 0 {
                say!("FAIL hotplug: round {round}: CPU_ON of CPU {index} says {status}");
            }
            let id = machine().cpus()[index];
            while firmware::status(psci::AFFINITY_INFO_64, [id, 0, 0]) != OFF {
                // Interrupts are masked: what is pending wakes it all the same.
                timer::arm(timer::now() + timer::ticks(50_000));
                let status = firmware::status(psci::CPU_SUSPEND_64, [0; 3]);
                if status != 0 {
                    say!("FAIL hotplug: round {round}: CPU_SUSPEND says {status}");
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

/// AFFINITY_INFO's answer for a CPU that is off (Arm DEN 0022F.b, 5.7).
const OFF: i32 = 1;

/// Resets at once: with the guest's start, a storm of resets.
pub(super) fn reset() {
    firmware::reset();
}

/// Powers off at once.
pub(super) fn off() {
    firmware::off();
}
