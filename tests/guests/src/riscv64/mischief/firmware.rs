//! Calls of functions that do not exist, and of those that do with arguments that make no sense: pointers to nothing,
//! masks of harts that are not there.

use core::arch::global_asm;

use isa_firmware::sbi::{Extension, hsm};

use crate::arch::firmware::ecall;
use crate::mischief::forged;
use crate::runtime::machine::machine;

global_asm!(".text", ".balign 4", "park:", "wfi", "j park");

unsafe extern "C" {
    /// Where a hart that was started by chance does nothing, without a stack.
    fn park();
}

/// Anything.
pub(super) fn run() {
    forged::calls("firmware", 100, forged::ANY, |random| {
        let extension = match random.below(4) {
            0 => random.number(),
            1 => u64::from(random.of(Extension::ALL).id()) ^ 1 << random.below(64),
            _ => random.of(Extension::ALL).id().into(),
        };
        let function = if random.below(8) == 0 { random.number() } else { random.below(10) };
        if ends(extension, function) {
            return;
        }
        let mut arguments = [0; 6];
        arguments.fill_with(|| random.number());
        ecall(extension, function, arguments);
    });
}

/// Harts that do not exist, run already, or are to start where nothing is.
pub(super) fn cpus() {
    forged::calls("cpus", 200, forged::ABOUT_CPUS, |random| {
        let target = match random.below(3) {
            0 => random.of(machine().cpus()),
            1 => random.number(),
            _ => random.below(300),
        };
        let entry = forged::entry(random, park);
        // Suspended, it would begin again at `entry`, if its kind has bit 31.
        let kind = random.number() & !(1 << 31);
        let (function, arguments) = match random.below(3) {
            0 => (hsm::HART_START, [target, entry, random.number(), 0, 0, 0]),
            1 => (hsm::HART_GET_STATUS, [target, 0, 0, 0, 0, 0]),
            _ => (hsm::HART_SUSPEND, [kind, entry, random.number(), 0, 0, 0]),
        };
        ecall(Extension::Hsm.id().into(), function.into(), arguments);
    });
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
