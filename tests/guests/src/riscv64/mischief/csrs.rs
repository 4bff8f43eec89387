//! Every CSR: read, written with what was read, written with anything.

use core::arch::asm;
use core::cell::UnsafeCell;

use crate::arch::registers::{SOFTWARE, clear_bits, set};
use crate::runtime::random::Random;
use crate::runtime::{faults, say};

/// CSRs that are written at a time, three instructions each, and the return.
const EACH: u32 = 64;
const LENGTH: usize = EACH as usize * 3 + 1;

struct Code(UnsafeCell<[u32; LENGTH]>);

// SAFETY: only the first CPU runs this program.
unsafe impl Sync for Code {}

static CODE: Code = Code(UnsafeCell::new([RET; LENGTH]));

const RET: u32 = 0x0000_8067;
/// `csrr a0, …` and `csrw …, a0`; the CSR's number is in bits 31 to 20.
const READ: u32 = 2 << 12 | 10 << 7 | 0x73;
const WRITE: u32 = 10 << 15 | 1 << 12 | 0x73;
/// `mul a0, a0, a1`: another number.
const SCRAMBLE: u32 = 0x02b5_0533;

/// What this program itself lives on: sstatus, stvec, satp.
const OWN: [u32; 3] = [0x100, 0x105, 0x180];

/// Runs all of them, CSR by CSR, twice.
pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(32);
    for (pass, is_random) in [(1, false), (2, true)] {
        let before = faults::count();
        for first in (0..4096).step_by(EACH as usize) {
            execute(first, is_random, &mut random);
        }
        say!("MISCHIEF sysregs pass {pass}: {} accesses were refused", faults::count() - before);
    }
    set!("sie", 0);
    clear_bits!("sip", SOFTWARE);
}

fn execute(first: u32, is_random: bool, random: &mut Random) {
    let code = CODE.0.get().cast::<u32>();
    let mut length = 0;
    let mut emit = |instruction: u32| {
        // SAFETY: three for each CSR, and one.
        unsafe { code.add(length).write_volatile(instruction) };
        length += 1;
    };
    for number in first..first + EACH {
        emit(READ | number << 20);
        if is_random {
            emit(SCRAMBLE);
        }
        if !OWN.contains(&number) {
            emit(WRITE | number << 20);
        }
    }
    emit(RET);
    // SAFETY: the buffer ends in a return; what faults is stepped over. What this program itself lives on is left
    // out.
    unsafe {
        asm!(
            "fence.i",
            "jalr {code}",
            code = in(reg) code, in("a1") random.next() | 1,
            clobber_abi("C"),
        );
    }
}
