//! Loads and stores by instruction word (Unpriv, RV32/64I, A, F, D, C, Zfh, Zcb), and as `htinst` transforms
//! them (Priv, "Transformed Instruction or Pseudoinstruction for mtinst or htinst"): what to do when a
//! guest's access to a device trapped.

use crate::Gpr;

/// Bytes of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Length {
    /// A compressed one.
    Two = 2,
    /// Any other that is known here.
    Four = 4,
}

impl Length {
    /// The length of the instruction that begins with this parcel (Unpriv, "Expanded Instruction-Length
    /// Encoding").
    #[inline]
    pub const fn of(parcel: u16) -> Self {
        if parcel & 3 == 3 { Self::Four } else { Self::Two }
    }
    /// Bytes.
    #[inline]
    pub const fn bytes(self) -> u64 {
        self as u64
    }
}

/// What is loaded or stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// An integer register; what is shorter than it is extended by zeros.
    Zero(Gpr),
    /// An integer register; what is shorter than it is extended by its sign.
    Sign(Gpr),
    /// A floating-point register, by its number; what is shorter is boxed: ones above it.
    Float(u8),
}

/// Which way data moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From memory.
    Load,
    /// To memory.
    Store,
}

/// One load or store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Which way.
    pub direction: Direction,
    /// log2 of the bytes.
    pub size: u8,
    /// Between memory and what.
    pub register: Register,
    /// Of the instruction.
    pub length: Length,
}

/// Why an instruction is not decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// It reads and writes at once, or reserves: AMOs, LR, SC. Devices have none of these (the physical
    /// memory attribute "AMONone", "RsrvNone").
    Atomic,
    /// It is no load or store of one register, or not one that exists.
    NotMemory,
}

const fn transfer(direction: Direction, size: u8, register: Register) -> Transfer {
    Transfer { direction, size, register, length: Length::Four }
}

/// Decodes an instruction word; of a compressed one the upper half does not count.
#[inline]
pub const fn decode(word: u32) -> Result<Transfer, Refused> {
    if word & 3 != 3 {
        return compressed(word as u16);
    }
    let (rd, rs2) = (word >> 7 & 31, word >> 20 & 31);
    let width = word >> 12 & 7;
    Ok(match word & 0x7f {
        // LOAD
        0b000_0011 => {
            let register =
                if width < 4 { Register::Sign(Gpr::new(rd)) } else { Register::Zero(Gpr::new(rd)) };
            if width == 7 {
                return Err(Refused::NotMemory);
            }
            transfer(Direction::Load, (width & 3) as u8, register)
        }
        // STORE
        0b010_0011 if width < 4 => transfer(Direction::Store, width as u8, Register::Zero(Gpr::new(rs2))),
        // LOAD-FP and STORE-FP of half, single and double precision; the other widths are quads and vectors.
        0b000_0111 if matches!(width, 1..=3) => {
            transfer(Direction::Load, width as u8, Register::Float(rd as u8))
        }
        0b010_0111 if matches!(width, 1..=3) => {
            transfer(Direction::Store, width as u8, Register::Float(rs2 as u8))
        }
        // AMO
        0b010_1111 => return Err(Refused::Atomic),
        _ => return Err(Refused::NotMemory),
    })
}

/// What `htinst` tells of a load or store; `None` when it tells nothing and the instruction is to be fetched:
/// zero, or the access was one of address translation.
#[inline]
pub const fn transformed(htinst: u64) -> Option<Result<Transfer, Refused>> {
    let word = htinst as u32;
    // Bit 0 is set in transformed instructions and clear in pseudoinstructions; bit 1 is clear where the
    // instruction was a compressed one that stands for this one.
    if word & 1 == 0 {
        return None;
    }
    let length = if word & 2 == 0 { Length::Two } else { Length::Four };
    Some(match decode(word | 2) {
        Ok(transfer) => Ok(Transfer { length, ..transfer }),
        Err(why) => Err(why),
    })
}

/// How far behind the address of the access the faulting one is (Priv, "Addr. Offset"): in what a misaligned access of
/// several parts has behind its first part.
#[inline]
pub const fn address_offset(htinst: u64) -> u64 {
    htinst >> 15 & 31
}

/// Bits `from` on of a word, `count` of them, moved to where they belong.
const fn field(word: u32, from: u32, count: u32, to: u32) -> i64 {
    ((word >> from & ((1 << count) - 1)) << to) as i64
}

/// Where a load or store that [`decode`] knows goes: to what this register holds, and so many bytes on.
pub const fn address(word: u32) -> (Gpr, i64) {
    const SP: Gpr = Gpr::new(2);
    let base = Gpr::new(8 + (word >> 7 & 7));
    let words = field(word, 10, 3, 3) | field(word, 6, 1, 2) | field(word, 5, 1, 6);
    let doubles = field(word, 10, 3, 3) | field(word, 5, 2, 6);
    match (word & 3, word >> 13 & 7) {
        (0b11, _) if word & 0x20 == 0 => (Gpr::new(word >> 15), (word as i32 >> 20) as i64),
        (0b11, _) => (Gpr::new(word >> 15), (word as i32 >> 25 << 5) as i64 | field(word, 7, 5, 0)),
        // Of bytes two bits in the wrong order, of halves one.
        (0b00, 0b100) => match word >> 10 & 1 {
            0 => (base, field(word, 6, 1, 0) | field(word, 5, 1, 1)),
            _ => (base, field(word, 5, 1, 1)),
        },
        (0b00, 0b010 | 0b110) => (base, words),
        (0b00, _) => (base, doubles),
        (_, 0b010) => (SP, field(word, 12, 1, 5) | field(word, 4, 3, 2) | field(word, 2, 2, 6)),
        (_, 0b001 | 0b011) => (SP, field(word, 12, 1, 5) | field(word, 5, 2, 3) | field(word, 2, 3, 6)),
        (_, 0b110) => (SP, field(word, 9, 4, 2) | field(word, 7, 2, 6)),
        (_, _) => (SP, field(word, 10, 3, 3) | field(word, 7, 3, 6)),
    }
}

const fn compressed(word: u16) -> Result<Transfer, Refused> {
    let word = word as u32;
    // The three-bit register fields name x8 to x15, f8 to f15.
    let short = 8 + (word >> 2 & 7);
    let (rd, rs2) = (word >> 7 & 31, word >> 2 & 31);
    let (direction, size, register) = match (word & 3, word >> 13) {
        (0b00, 0b001) => (Direction::Load, 3, Register::Float(short as u8)), // C.FLD
        (0b00, 0b010) => (Direction::Load, 2, Register::Sign(Gpr::new(short))), // C.LW
        (0b00, 0b011) => (Direction::Load, 3, Register::Sign(Gpr::new(short))), // C.LD
        (0b00, 0b100) => match word >> 10 & 7 {
            0b000 => (Direction::Load, 0, Register::Zero(Gpr::new(short))), // C.LBU
            0b001 if word & 1 << 6 == 0 => (Direction::Load, 1, Register::Zero(Gpr::new(short))), // C.LHU
            0b001 => (Direction::Load, 1, Register::Sign(Gpr::new(short))), // C.LH
            0b010 => (Direction::Store, 0, Register::Zero(Gpr::new(short))), // C.SB
            0b011 if word & 1 << 6 == 0 => (Direction::Store, 1, Register::Zero(Gpr::new(short))), // C.SH
            _ => return Err(Refused::NotMemory),
        },
        (0b00, 0b101) => (Direction::Store, 3, Register::Float(short as u8)), // C.FSD
        (0b00, 0b110) => (Direction::Store, 2, Register::Zero(Gpr::new(short))), // C.SW
        (0b00, 0b111) => (Direction::Store, 3, Register::Zero(Gpr::new(short))), // C.SD
        (0b10, 0b001) => (Direction::Load, 3, Register::Float(rd as u8)),     // C.FLDSP
        // With rd = 0 these two are reserved.
        (0b10, 0b010) if rd != 0 => (Direction::Load, 2, Register::Sign(Gpr::new(rd))), // C.LWSP
        (0b10, 0b011) if rd != 0 => (Direction::Load, 3, Register::Sign(Gpr::new(rd))), // C.LDSP
        (0b10, 0b101) => (Direction::Store, 3, Register::Float(rs2 as u8)),             // C.FSDSP
        (0b10, 0b110) => (Direction::Store, 2, Register::Zero(Gpr::new(rs2))),          // C.SWSP
        (0b10, 0b111) => (Direction::Store, 3, Register::Zero(Gpr::new(rs2))),          // C.SDSP
        _ => return Err(Refused::NotMemory),
    };
    Ok(Transfer { direction, size, register, length: Length::Two })
}

impl Transfer {
    /// What an integer register holds after `value` was loaded; of floating-point ones, all 64 bits.
    #[inline]
    pub const fn extend(self, value: u64) -> u64 {
        let unused = 64 - (8 << self.size);
        match self.register {
            Register::Zero(_) => value << unused >> unused,
            Register::Sign(_) => ((value << unused) as i64 >> unused) as u64,
            Register::Float(_) if unused == 0 => value,
            Register::Float(_) => (value << unused >> unused) | u64::MAX << (64 - unused),
        }
    }
}

#[cfg(test)]
mod tests;
