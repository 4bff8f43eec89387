//! Maintenance of caches, translations and addresses, where there is memory, registers or nothing.

use core::arch::asm;

use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

const ROUNDS: u64 = 20;
const EACH: u64 = 2_000;

macro_rules! by_address {
    ($random:expr, $address:expr, $($instruction:tt),*) => {{
        let table: &[fn(u64)] = &[$(
            // SAFETY: what is cleaned, invalidated or looked up is no memory of this program; a fault is
            // stepped over.
            |address| unsafe { asm!(concat!($instruction, ", {}"), in(reg) address, options(nostack)) }
        ),*];
        $random.of(table)($address)
    }};
}

pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(16);
    for round in 1..=ROUNDS {
        for _ in 0..EACH {
            by_set_and_way(&mut random);
            let address = address(&mut random);
            by_address!(
                random,
                address,
                "dc civac",
                "dc cvac",
                "dc cvau",
                "dc ivac",
                "dc zva",
                "ic ivau",
                "at s1e1r",
                "at s1e1w",
                "at s1e0r",
                "tlbi vaae1is",
                "tlbi vale1",
                "tlbi aside1is"
            );
        }
        everything();
        say!("MISCHIEF cache round {round}: {} faults", faults::count());
    }
}

/// No address of RAM: DC ZVA and DC IVAC would take this program's own memory.
fn address(random: &mut Random) -> u64 {
    let windows = machine().devices();
    let device = random.of(windows);
    let address = match random.below(3) {
        0 => device.start + random.below(device.size),
        1 => random.below(1 << 40),
        _ => random.number(),
    };
    if machine().is_ram(address) { 0x0b00_0000 } else { address }
}

fn by_set_and_way(random: &mut Random) {
    let operand = random.below(1 << 32) & !1 | random.below(2);
    // SAFETY: cleaning loses nothing; DC ISW is left to the hypervisor to make harmless, which it must:
    // the architecture lets it clean as well.
    unsafe {
        match random.below(3) {
            0 => asm!("dc csw, {}", in(reg) operand),
            1 => asm!("dc cisw, {}", in(reg) operand),
            _ if machine().hypervised => asm!("dc isw, {}", in(reg) operand),
            _ => {}
        }
    }
}

fn everything() {
    // SAFETY: caches and TLBs are only emptied.
    unsafe {
        asm!("ic iallu", "ic ialluis", "tlbi vmalle1", "tlbi vmalle1is", "dsb sy", "isb");
    }
}
