//! Memory that is not there, and memory that should hold nothing.

use fdt::Region;

use crate::arch::mischief::wild;
use crate::runtime::machine::{Machine, machine};
use crate::runtime::mmio::{load8, load16, load32, load64, store8, store16, store32, store64};
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

/// Nothing lies here in the guest.
const NOWHERE: u64 = wild::NOWHERE;

/// Jumps to nothing, the vectors being there as well: nothing can ever be executed again.
pub(super) fn jump() {
    wild::lose_vectors(NOWHERE);
}

/// Loads, stores and jumps all over the 40 bits, for ever.
pub(super) fn unmapped() {
    faults::tolerate(true);
    let mut random = Random::new(40);
    for round in 1_u64.. {
        let before = faults::count();
        for _ in 0..20_000 {
            touch(&mut random);
        }
        say!("MISCHIEF unmapped round {round}: {} faults", faults::count() - before);
    }
}

fn touch(random: &mut Random) {
    let size = random.of(&[1 << 30, 1 << 34, 1 << 40]);
    let address = random.below(size) & !7;
    // Devices are `devices`' business.
    if machine().is_ram(address) || wild::DEVICES.contains(&address) {
        return;
    }
    let value = random.next();
    match random.below(9) {
        0 => drop(load8(address + 1)),
        1 => drop(load16(address + 2)),
        2 => drop(load32(address + 4)),
        3 => drop(load64(address)),
        4 => store8(address + 3, value as u8),
        5 => store16(address + 6, value as u16),
        6 => store32(address, value as u32),
        7 => store64(address, value),
        _ => wild::call(address),
    }
}

/// Checks that RAM that nobody put anything into is zero.
pub(super) fn zeroed() {
    let machine = machine();
    let mut found = None;
    let mut looked = 0;
    for bank in machine.ram() {
        let mut address = bank.start;
        let end = bank.start + bank.size;
        while address < end {
            // What was loaded lies in whole pages.
            if let Some(after) = end_of_loaded(machine, address) {
                address = after;
                continue;
            }
            looked += 4096;
            if let Some(word) = nonzero_word(address) {
                found = found.or(Some(word));
            }
            address += 4096;
        }
    }
    match found {
        None => say!("PASS memory: {} KiB are zero", looked / 1024),
        Some(address) => say!("FAIL memory: at {address:#x} stands {:#018x}", load64(address)),
    }
}

fn nonzero_word(page: u64) -> Option<u64> {
    let words = || (page..page + 4096).step_by(8);
    let bits = words().fold(0, |bits, address| bits | load64(address));
    if bits == 0 { None } else { words().find(|&address| load64(address) != 0) }
}

/// If something was loaded into this page, the address of the page behind it.
fn end_of_loaded(machine: &Machine, page: u64) -> Option<u64> {
    // QEMU's own start-up code, where there is no hypervisor.
    let stub = (!machine.hypervised).then(|| Region { start: machine.ram()[0].start, size: 4096 });
    let loaded = [Some(machine.image), Some(machine.tree), machine.initrd, stub];
    let of = loaded.into_iter().flatten().find(|region| {
        let first = region.start & !0xfff;
        (first..region.start + region.size).contains(&page)
    })?;
    Some((of.start + of.size).next_multiple_of(4096))
}
