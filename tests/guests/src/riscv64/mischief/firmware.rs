//! Calls of functions that do not exist, and of those that do with arguments that make no sense: pointers to nothing,
//! masks of harts that are not there.

use core::arch::global_asm;

use isa_firmware::sbi::{Extension, hsm};

use crate::arch::firmware::ecall;
use crate::arch::{irq, timer};
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

global_asm!(".text", ".balign 4", "park:", "wfi", "j park");

unsafe extern "C" {
    /// Where a hart that was started by chance does nothing, without a stack.
    fn park();
}

/// Calls of `firmware`.
const CALLS: u64 = 100_000;
/// Calls of `cpus`.
const FORGERIES: u64 = 20_000;

/// Anything.
pub(super) fn run() {
    prepare();
    let mut random = Random::new(100);
    for index in 0..CALLS {
        let extension = match random.below(4) {
            0 => random.number(),
            1 => u64::from(random.of(Extension::ALL).id()) ^ 1 << random.below(64),
            _ => random.of(Extension::ALL).id().into(),
        };
        let function = if random.below(8) == 0 { random.number() } else { random.below(10) };
        if ends(extension, function) {
            continue;
        }
        let mut arguments = [0; 6];
        arguments.fill_with(|| random.number());
        ecall(extension, function, arguments);
        progress("firmware", index);
    }
}

/// Harts that do not exist, run already, or are to start where nothing is.
pub(super) fn cpus() {
    prepare();
    let mut random = Random::new(200);
    for index in 0..FORGERIES {
        let target = match random.below(3) {
            0 => random.of(machine().cpus()),
            1 => random.number(),
            _ => random.below(300),
        };
        let entry = match random.below(4) {
            0 => park as unsafe extern "C" fn() as usize as u64,
            1 => machine().uart,
            _ => random.number(),
        };
        // Suspended, it would begin again at `entry`, if its kind has bit 31.
        let kind = random.number() & !(1 << 31);
        let (function, arguments) = match random.below(3) {
            0 => (hsm::HART_START, [target, entry, random.number(), 0, 0, 0]),
            1 => (hsm::HART_GET_STATUS, [target, 0, 0, 0, 0, 0]),
            _ => (hsm::HART_SUSPEND, [kind, entry, random.number(), 0, 0, 0]),
        };
        ecall(Extension::Hsm.id().into(), function.into(), arguments);
        progress("cpus", index);
    }
}

/// A timer interrupt waits all the time, masked: what is suspended wakes at once.
fn prepare() {
    faults::tolerate(true);
    irq::start();
    irq::listen_to_timer();
    timer::arm(0);
}

fn progress(name: &str, index: u64) {
    if index % 10_000 == 9_999 {
        // Some of these calls set the timer.
        timer::arm(0);
        say!("MISCHIEF {name}: {} calls, {} faults", index + 1, faults::count());
    }
}

/// Whether the function does what it says, and is right to end this program, or to keep it waiting; or writes where
/// it is told to, which may be this program.
fn ends(extension: u64, function: u64) -> bool {
    // Numbers have 32 bits.
    let known = Extension::decode(extension as u32);
    match known {
        Some(Extension::Srst | Extension::Susp | Extension::LegacyShutdown) => true,
        Some(Extension::Hsm) => {
            let function = function as u32;
            function == hsm::HART_STOP || function == hsm::HART_SUSPEND
        }
        _ => false,
    }
}
