//! A storm of fences: one's own, those of others by way of the firmware, and maintenance of caches (Zicbom, Zicboz).

use core::arch::asm;

use isa_firmware::sbi::{Extension, rfence};

use crate::arch::firmware;
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

const ROUNDS: u64 = 10;
const EACH: u64 = 2_000;

pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(64);
    for round in 1..=ROUNDS {
        for _ in 0..EACH {
            own(&mut random);
            remote(&mut random);
            block(&mut random);
        }
        say!("MISCHIEF fences round {round}: {} faults", faults::count());
    }
}

fn own(random: &mut Random) {
    let (address, space) = (random.number(), random.number());
    // SAFETY: what is remembered of tables, of which there are none here, is forgotten.
    unsafe {
        match random.below(4) {
            0 => asm!("sfence.vma {}, {}", in(reg) address, in(reg) space),
            1 => asm!("sfence.vma"),
            2 => asm!("fence.i"),
            // sinval.vma a0, a1 (Svinval; elsewhere illegal)
            _ => asm!(".4byte 0x16b50073", in("a0") address, in("a1") space),
        }
    }
}

fn remote(random: &mut Random) {
    let function = random.below(u64::from(rfence::HFENCE_VVMA) + 3);
    let (mask, base) = match random.below(4) {
        0 => (0, u64::MAX),
        1 => (1, random.of(machine().cpus())),
        _ => (random.number(), random.number()),
    };
    let arguments = [mask, base, random.number(), random.number(), random.number(), 0];
    firmware::ecall(Extension::Rfence.id().into(), function, arguments);
}

fn block(random: &mut Random) {
    let device = random.of(machine().devices());
    let address = match random.below(3) {
        0 => device.start + random.below(device.size),
        1 => random.below(1 << 40),
        _ => random.number(),
    };
    // CBO.INVAL and CBO.ZERO would take this program's own memory.
    let address = if machine().is_ram(address) { 0x4000_0000 } else { address };
    // SAFETY: no memory of this program; a fault is stepped over.
    unsafe {
        match random.below(4) {
            0 => asm!(".4byte 0x0005200f", in("a0") address),
            1 => asm!(".4byte 0x0015200f", in("a0") address),
            2 => asm!(".4byte 0x0025200f", in("a0") address),
            _ => asm!(".4byte 0x0045200f", in("a0") address),
        }
    }
}
