//! What no guest should do. Each program prints `MISCHIEF name start` and misbehaves, either for ever
//! or until `MISCHIEF name done`, behind which it powers off. None of it may matter to anybody else.

mod cache;
mod devices;
mod firmware;
mod interrupts;
mod ldst;
mod memory;
mod power;
mod sysregs;
mod talk;

use core::fmt;

use crate::runtime::{firmware as psci, say};

/// The programs, by name.
const PROGRAMS: &[(&str, fn())] = &[
    ("jump", memory::jump),
    ("unmapped", memory::unmapped),
    ("memory", memory::zeroed),
    ("devices", devices::run),
    ("ldst", ldst::run),
    ("firmware", firmware::run),
    ("cpus", firmware::cpus),
    ("sysregs", sysregs::run),
    ("cache", cache::run),
    ("spin", power::spin),
    ("spins", power::spins),
    ("hotplug", power::hotplug),
    ("reset", power::reset),
    ("off", power::off),
    ("flood", talk::flood),
    ("log", talk::log),
    ("wfi", interrupts::wfi),
    ("sgi", interrupts::sgi),
    ("timer", interrupts::timer),
];

/// Shows the programs' names.
pub(crate) struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PROGRAMS.iter().try_for_each(|(name, _)| write!(f, "{name} "))
    }
}

/// Runs the program of this name; powers off if it ends.
pub(crate) fn run(name: &str) -> ! {
    match PROGRAMS.iter().find(|(known, _)| *known == name) {
        Some((_, program)) => {
            say!("MISCHIEF {name} start");
            program();
            say!("MISCHIEF {name} done");
        }
        None => say!("FAIL there is no mischief `{name}`, but: {Names}"),
    }
    psci::off()
}
