//! Loads and stores by instruction word (DDI 0487, C4.1.94): what to do when a guest's access to a device trapped
//! without a valid syndrome (`ISV` = 0), as it does for pairs, for writeback, and for vector registers.
use crate::Gpr;

mod decode;

pub use decode::decode;

/// What an instruction does to memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Instruction {
    /// A load or store of one register or two.
    Transfer(Transfer),
    /// DC ZVA: zeroes the naturally aligned block, of the size that `DCZID_EL0` tells, around the address.
    ZeroBlock {
        /// The register that holds the address; 31 is the zero register.
        address: Gpr,
    },
    /// A prefetch, which does nothing if it cannot.
    Prefetch,
}

/// Why an instruction is not decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It reads and writes at once: compare and swap, and the atomics (LSE).
    Atomic,
    /// It moves structures between memory and several vector registers (LD1 to ST4).
    Structure,
    /// It needs keys, tags or modes that the word does not tell: LDRAA, STG, CPYF and their kin.
    Special,
    /// It is no load or store, or not an allocated one.
    NotMemory,
}

/// Which way data moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From memory.
    Load,
    /// To memory.
    Store,
}

/// Which registers an instruction moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum File {
    /// General-purpose registers; 31 is the zero register.
    General,
    /// SIMD and floating-point registers; a load clears the bits above what it loads.
    Vector,
}

/// What else an access promises.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ordering {
    /// Nothing.
    Plain,
    /// Acquire for a load, release for a store.
    Ordered,
    /// Exclusive; a store tells in `status` whether it succeeded (0) or not (1).
    Exclusive {
        /// The register that a store sets, absent for loads.
        status: Option<Gpr>,
        /// Acquire or release, too.
        ordered: bool,
    },
}

/// How far from its base an access lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offset {
    /// Bytes.
    Bytes(i64),
    /// A register, extended and shifted left.
    Register {
        /// The register; 31 is the zero register.
        index: Gpr,
        /// How it is extended before.
        extend: Extend,
        /// By how many bits it is shifted.
        shift: u8,
    },
}

/// How a register becomes an offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extend {
    /// UXTW: its low 32 bits.
    Word,
    /// SXTW: its low 32 bits with their sign.
    SignedWord,
    /// LSL or SXTX: all of it.
    Whole,
}

/// What an address is counted from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Base {
    /// A register; 31 is the stack pointer of the current mode.
    Register(Gpr),
    /// The address of the instruction.
    Pc,
}

/// A load or store of one register or two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Load or store.
    pub direction: Direction,
    /// General-purpose or vector registers.
    pub file: File,
    /// Bytes per register: 1, 2, 4, 8, or 16 (vector).
    pub bytes: u8,
    /// The register of the first, lower element.
    pub first: Gpr,
    /// The register of the second element, right after the first in memory.
    pub second: Option<Gpr>,
    /// A load extends the sign.
    pub sign_extend: bool,
    /// A load sets all 64 bits of a general-purpose register; otherwise, the upper half becomes zero, too, but a sign
    /// goes no further than bit 31.
    pub to_64: bool,
    /// Acquire, release, exclusive.
    pub ordering: Ordering,
    /// What the address is counted from.
    pub base: Base,
    /// What is added to the base for the access. Zero for post-indexed ones.
    pub offset: Offset,
    /// Bytes by which the base register, which is then a register, changes when the access succeeded.
    pub writeback: Option<i64>,
}

impl Transfer {
    /// Elements moved: 1 or 2.
    pub const fn elements(&self) -> u8 {
        if self.second.is_some() { 2 } else { 1 }
    }

    /// Bytes moved in all.
    pub const fn total_bytes(&self) -> u8 {
        self.bytes * self.elements()
    }

    /// What a general-purpose register holds after `data` was loaded into it.
    pub const fn extend(&self, data: u64) -> u64 {
        crate::esr::extend(data, self.bytes, self.sign_extend, self.to_64)
    }

    /// The address of the first element, given the base's value and that of the index register, if there is one.
    pub fn address(&self, base: u64, index: impl FnOnce(Gpr) -> u64) -> u64 {
        let offset = match self.offset {
            Offset::Bytes(bytes) => bytes.cast_unsigned(),
            Offset::Register { index: register, extend, shift } => {
                let value = index(register);
                let value = match extend {
                    Extend::Word => u64::from(value as u32),
                    Extend::SignedWord => i64::from(value as i32).cast_unsigned(),
                    Extend::Whole => value,
                };
                value << (shift & 63)
            }
        };
        base.wrapping_add(offset)
    }
}

#[cfg(test)]
mod tests;
