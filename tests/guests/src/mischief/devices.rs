//! Every register of every device, written with anything, in any width and alignment.

use fdt::Region;

use crate::runtime::machine::machine;
use crate::runtime::mmio::{load8, load16, load32, load64, store8, store16, store32, store64};
use crate::runtime::random::Random;
use crate::runtime::{faults, print, say};

/// How often all of it is done.
const ROUNDS: u64 = 4;
/// Of a large window, so many bytes are written register by register; the rest is only sampled.
const THOROUGH: u64 = 0x2_0000;
/// Accesses of any width and place, for each window.
const ANYWHERE: u64 = 5_000;

/// Writes; each round with other values.
pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(8);
    for round in 1..=ROUNDS {
        for window in machine().devices() {
            register_by_register(&mut random, *window);
            anywhere(&mut random, *window);
        }
        print::revive();
        say!("\nMISCHIEF devices round {round}: {} faults", faults::count());
    }
}

fn register_by_register(random: &mut Random, window: Region) {
    for offset in (0..window.size.min(THOROUGH)).step_by(4) {
        store32(window.start + offset, random.number() as u32);
        if random.below(4) == 0 {
            load32(window.start + offset);
        }
    }
}

fn anywhere(random: &mut Random, window: Region) {
    for _ in 0..ANYWHERE {
        let address = window.start + random.below(window.size);
        let value = random.number();
        match random.below(8) {
            0 => store8(address, value as u8),
            1 => store16(address, value as u16),
            2 => store32(address, value as u32),
            3 => store64(address, value),
            4 => drop(load8(address)),
            5 => drop(load16(address)),
            6 => drop(load32(address)),
            _ => drop(load64(address)),
        }
    }
}
