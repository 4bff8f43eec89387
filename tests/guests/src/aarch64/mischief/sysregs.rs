//! Every encodable system register (op0 of 2 and 3): read, written with what was read, written with
//! anything.

use core::arch::asm;
use core::cell::UnsafeCell;

use crate::runtime::random::Random;
use crate::runtime::{faults, say};

/// Instructions written at a time: 128 registers, three each, and the return.
const LENGTH: usize = 128 * 3 + 1;

struct Code(UnsafeCell<[u32; LENGTH]>);

// SAFETY: only the first CPU runs this program.
unsafe impl Sync for Code {}

static CODE: Code = Code(UnsafeCell::new([RET; LENGTH]));

const RET: u32 = 0xd65f_03c0;
/// `mrs x0, …` and `msr …, x0` of op0 = 2; the register's fields are in bits 19 to 5.
const MRS: u32 = 0xd530_0000;
const MSR: u32 = 0xd510_0000;
/// `mul x0, x0, x1`: another number.
const SCRAMBLE: u32 = 0x9b01_7c00;

/// Runs all of them, register by register, twice.
pub(super) fn run() {
    faults::tolerate(true);
    let mut random = Random::new(32);
    for (pass, is_random) in [(1, false), (2, true)] {
        let before = faults::count();
        for block in 0..256_u32 {
            execute(block, is_random, &mut random);
        }
        say!("MISCHIEF sysregs pass {pass}: {} accesses were refused", faults::count() - before);
    }
}

/// 128 registers: op0, op1 and CRn are those of `block`.
fn execute(block: u32, is_random: bool, random: &mut Random) {
    let code = CODE.0.get().cast::<u32>();
    let mut length = 0;
    let mut emit = |instruction: u32| {
        // SAFETY: three for each register, and one.
        unsafe { code.add(length).write_volatile(instruction) };
        length += 1;
    };
    for low in 0..128 {
        let register = block << 7 | low;
        emit(MRS | register << 5);
        if is_random {
            emit(SCRAMBLE);
        }
        if !is_own(register) {
            emit(MSR | register << 5);
        }
    }
    emit(RET);
    // SAFETY: the buffer ends in a return; what faults is stepped over. The registers that this
    // program itself lives on are left out.
    unsafe {
        asm!(
            "2: dc cvau, x2",
            "ic ivau, x2",
            "add x2, x2, #4",
            "cmp x2, x3",
            "b.lo 2b",
            "dsb ish",
            "isb",
            "blr x4",
            "msr daifset, #0xf",
            inout("x1") random.next() | 1 => _,
            inout("x2") code => _,
            inout("x3") code.add(LENGTH) => _,
            inout("x4") code => _,
            clobber_abi("C"),
        );
    }
}

/// Whether this program would lose its memory, its stack or its vectors: registers of op0 = 3 and op1 = 0.
fn is_own(register: u32) -> bool {
    let [op0, op1, n, m, op2] =
        [2 | register >> 14 & 1, register >> 11 & 7, register >> 7 & 15, register >> 3 & 15, register & 7];
    match (op0, op1, n, m, op2) {
        // SCTLR_EL1 and its like, the translation tables, the attributes, the vectors, SPSel.
        (3, 0, 1, 0, 0 | 3) | (3, 0, 2, 0, _) | (3, 0, 10, _, _) | (3, 0, 12, 0, 0) | (3, 0, 4, 2, 0) => true,
        // The exception handler's own: the interrupt mask is set again, but an interrupt now has no handler.
        (3, 3, 4, 2, 1) => true,
        _ => false,
    }
}
