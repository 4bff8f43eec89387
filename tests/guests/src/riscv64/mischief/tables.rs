//! Page tables of garbage (Priv, "Sv39"): their entries lead to memory, to registers of devices, and to nothing.

use core::arch::asm;
use core::cell::UnsafeCell;

use crate::runtime::machine::machine;
use crate::runtime::mmio::{load8, load32, load64, store8, store64};
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

/// Tables: the root, and those that entries may lead to.
const TABLES: usize = 8;
const ENTRIES: usize = 512;
const ROUNDS: u64 = 200;
const TOUCHES: u64 = 200;

#[repr(C, align(4096))]
struct Tables(UnsafeCell<[u64; TABLES * ENTRIES]>);

// SAFETY: only the first CPU runs this program.
unsafe impl Sync for Tables {}

static ALL: Tables = Tables(UnsafeCell::new([0; TABLES * ENTRIES]));

const SV39: u64 = 8 << 60;
/// V, R, W, X, A and D.
const LEAF: u64 = 0xcf;
/// Gigabytes that this program needs: its devices' and its memory's.
const OWN: [usize; 2] = [0, 2];

/// Accesses through such tables; each must be a fault, or do what the tables happen to say.
pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(39);
    for round in 1..=ROUNDS {
        fill(&mut random);
        translate(SV39 | root() >> 12);
        for _ in 0..TOUCHES {
            // In the upper half as well: bits 63 to 38 are alike.
            let address = (random.next() << 25) as i64 >> 25;
            let address = address as u64;
            if OWN.contains(&((address >> 30) as usize)) {
                continue;
            }
            match random.below(6) {
                0 => drop(load8(address)),
                1 => drop(load32(address & !3)),
                2 => drop(load64(address & !7)),
                // Nothing of memory may be written or executed: it might be this program.
                3 => store8(address, 1),
                4 => store64(address & !7, 1),
                // SAFETY: a call that comes back by the exception handler.
                _ => unsafe { asm!("jalr {}", in(reg) address & !3, clobber_abi("C")) },
            }
        }
        translate(0);
        if round.is_multiple_of(50) {
            say!("MISCHIEF tables round {round}: {} faults", faults::count());
        }
    }
}

/// Tables that have nothing for the next instruction, nor for the vectors.
pub(super) fn lost() {
    say!("MISCHIEF lost: the tables are at nothing");
    translate(SV39 | 0x3_0000_0000 >> 12);
}

fn root() -> u64 {
    ALL.0.get() as u64
}

fn fill(random: &mut Random) {
    for index in 0..TABLES * ENTRIES {
        let number = match random.below(6) {
            // One of these tables.
            0 => (root() >> 12) + random.below(TABLES as u64),
            // Registers of a device.
            1 => random.of(machine().devices()).start >> 12,
            // Memory.
            2 => (machine().ram()[0].start >> 12) + random.below(0x4000),
            // Nothing, near or far.
            3 => 0x4_0000 + random.below(0x1000),
            _ => random.below(1 << 44) | 1 << 40,
        };
        let flags = random.below(1 << 10) & !0x10;
        // A leaf in memory can neither be written nor executed.
        let flags = if (0x8_0000..0x10_0000).contains(&number) { flags & !0xc } else { flags };
        let odd = random.below(64) == 0;
        put(index, number << 10 | flags | u64::from(odd) << 61);
    }
    for gigabyte in OWN {
        put(gigabyte, (gigabyte as u64) << 28 | LEAF);
    }
}

fn put(index: usize, value: u64) {
    // SAFETY: an index below their count.
    unsafe { ALL.0.get().cast::<u64>().add(index).write_volatile(value) }
}

fn translate(satp: u64) {
    // SAFETY: the gigabytes that this program needs are mapped as they are, or it is lost and wants to be.
    unsafe { asm!("sfence.vma", "csrw satp, {}", "sfence.vma", in(reg) satp, options(nostack)) }
}
