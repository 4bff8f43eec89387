//! Calls of functions that do not exist, and of those that do with arguments that make no sense.

use core::arch::global_asm;

use isa_firmware::{psci, smccc, trng};

use crate::mischief::forged;
use crate::runtime::firmware;
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::registers::affinity;

global_asm!(".text", "park:", "wfi", "b park");

unsafe extern "C" {
    /// Where a CPU that was powered on by chance does nothing, without a stack.
    fn park();
}

/// Anything, by either instruction.
pub(super) fn run() {
    forged::calls("firmware", 100, forged::ANY, |random| {
        let function = function(random);
        if ends(function) {
            return;
        }
        let x = [function.into(), random.number(), random.number(), random.number()];
        match random.below(16) {
            0 => firmware::hvc_with_immediate(x),
            1 => firmware::smc_with_immediate(x),
            2..=8 => firmware::smc(x),
            _ => firmware::hvc(x),
        };
    });
}

/// CPUs that do not exist, are on already, or are to start where nothing is.
pub(super) fn cpus() {
    forged::calls("cpus", 200, forged::ABOUT_CPUS, |random| {
        let target = match random.below(4) {
            0 => random.of(machine().cpus()),
            1 => affinity(),
            2 => random.number(),
            _ => random.below(300) | random.below(3) << 8,
        };
        let entry = forged::entry(random, park);
        let calls = [
            (psci::CPU_ON_64, [target, entry, random.number()]),
            (psci::CPU_ON_32, [target, entry, random.number()]),
            (psci::AFFINITY_INFO_64, [target, random.below(5), 0]),
            (psci::AFFINITY_INFO_32, [target, random.below(5), 0]),
            (psci::CPU_SUSPEND_64, [random.number(), entry, target]),
            (psci::CPU_FREEZE, [0; 3]),
            (psci::CPU_DEFAULT_SUSPEND_64, [entry, target, 0]),
            (psci::SYSTEM_SUSPEND_64, [entry, target, 0]),
            (psci::NODE_HW_STATE_64, [target, random.below(5), 0]),
            (psci::MIGRATE_64, [target, 0, 0]),
            (psci::MIGRATE_INFO_UP_CPU_64, [0; 3]),
            (psci::SET_SUSPEND_MODE, [random.number(), 0, 0]),
        ];
        let (function, arguments) = random.of(&calls);
        firmware::call(function, arguments);
    });
}

/// A function's number: of those that exist, near them, or any.
fn function(random: &mut Random) -> u32 {
    let owners = [
        psci::VERSION,
        trng::VERSION,
        smccc::VERSION,
        smccc::VENDOR_HYP_CALL_COUNT,
        smccc::ARCH_WORKAROUND_3,
    ];
    let near = random.of(&owners) + random.below(32) as u32;
    match random.below(4) {
        0 => near,
        1 => near ^ 1 << 30,
        2 => near ^ 1 << random.below(32),
        _ => random.next() as u32,
    }
}

/// Whether the function does what it says, and is right to end this program.
fn ends(function: u32) -> bool {
    let either = function & !(1 << 30);
    [psci::CPU_OFF, psci::SYSTEM_OFF, psci::SYSTEM_RESET, psci::SYSTEM_RESET2_32].contains(&either)
}
