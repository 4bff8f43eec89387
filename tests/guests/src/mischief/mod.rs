//! What no guest should do. Each program prints `MISCHIEF name start` and misbehaves, either for ever
//! or until `MISCHIEF name done`, behind which it powers off. None of it may matter to anybody else.

mod devices;
pub(crate) mod forged;
mod interrupts;
mod memory;
mod power;
mod talk;

use core::fmt;

use crate::arch::mischief;
use crate::runtime::{firmware, say};

/// The programs of all architectures, by name; [`mischief::PROGRAMS`] are this architecture's own.
const PROGRAMS: &[(&str, fn())] = &[
    ("jump", memory::jump),
    ("unmapped", memory::unmapped),
    ("memory", memory::zeroed),
    ("devices", devices::run),
    ("spin", power::spin),
    ("spins", power::spins),
    ("hotplug", power::hotplug),
    ("reset", power::reset),
    ("off", power::off),
    ("flood", talk::flood),
    ("wfi", interrupts::wfi),
    ("ipi", interrupts::ipi),
    ("timer", interrupts::timer),
];

fn programs() -> impl Iterator<Item = &'static (&'static str, fn())> {
    PROGRAMS.iter().chain(mischief::PROGRAMS)
}

/// Shows the programs' names.
pub(crate) struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        programs().try_for_each(|(name, _)| write!(f, "{name} "))
    }
}

/// Runs the program of this name; powers off if it ends.
pub(crate) fn run(name: &str) -> ! {
    match programs().find(|(known, _)| *known == name) {
        Some((_, program)) => {
            say!("MISCHIEF {name} start");
            program();
            say!("MISCHIEF {name} done");
        }
        None => say!("FAIL there is no mischief `{name}`, but: {Names}"),
    }
    firmware::off()
}
