//! The decoder: C4.1.94 from the top down.
use super::{Base, Direction, Extend, File, Instruction, Offset, Ordering, Refused, Transfer};
use crate::Gpr;

/// `width` bits of `word` from bit `low` up.
const fn bits(word: u32, low: u32, width: u32) -> u32 {
    (word >> low) & ((1 << width) - 1)
}

const fn bit(word: u32, n: u32) -> bool {
    word & (1 << n) != 0
}

/// `width` bits of `word` from bit `low` up, as a signed number.
const fn signed(word: u32, low: u32, width: u32) -> i64 {
    (((word << (32 - low - width)) as i32) >> (32 - width)) as i64
}

const fn rt(word: u32) -> Gpr {
    Gpr::new(word)
}

const fn rn(word: u32) -> Gpr {
    Gpr::new(word >> 5)
}

const fn rt2(word: u32) -> Gpr {
    Gpr::new(word >> 10)
}

const fn rs(word: u32) -> Gpr {
    Gpr::new(word >> 16)
}

const fn direction(load: bool) -> Direction {
    if load { Direction::Load } else { Direction::Store }
}

/// Decodes one instruction word.
///
/// # Errors
///
/// Says why the word is not one of the accesses that [`Instruction`] describes.
pub fn decode(word: u32) -> Result<Instruction, Refused> {
    // DC ZVA, <Xt>: SYS #3, C7, C4, #1.
    if word & !0x1f == 0xd50b_7420 {
        return Ok(Instruction::ZeroBlock { address: rt(word) });
    }
    // C4.1, op0 (28:25) = x1x0: loads and stores.
    if !bit(word, 27) || bit(word, 25) {
        return Err(Refused::NotMemory);
    }
    let vector = bit(word, 26);
    match (bits(word, 28, 2), bit(word, 24)) {
        (0b00, _) if vector => Err(if bit(word, 31) { Refused::NotMemory } else { Refused::Structure }),
        (0b00, false) => exclusive(word).map(Instruction::Transfer),
        (0b01, false) => literal(word),
        (0b01, true) => unscaled_ordered(word).map(Instruction::Transfer),
        (0b10, _) => pair(word).map(Instruction::Transfer),
        (0b11, _) => single(word),
        // 0b00 with bit 24: compare and swap with translation or with checks (RCW, unprivileged).
        _ => Err(Refused::Special),
    }
}

/// A plain transfer of one register, its base in Rn.
fn plain(word: u32, shape: Shape) -> Transfer {
    Transfer {
        direction: shape.direction,
        file: shape.file,
        bytes: shape.bytes,
        first: rt(word),
        second: None,
        sign_extend: shape.sign_extend,
        to_64: shape.to_64,
        ordering: Ordering::Plain,
        base: Base::Register(rn(word)),
        offset: Offset::Bytes(0),
        writeback: None,
    }
}

/// What size, V and opc tell of a transfer.
struct Shape {
    direction: Direction,
    file: File,
    bytes: u8,
    sign_extend: bool,
    to_64: bool,
}

impl Shape {
    const fn general(load: bool, bytes: u8) -> Self {
        Self { direction: direction(load), file: File::General, bytes, sign_extend: false, to_64: bytes == 8 }
    }

    const fn vector(load: bool, bytes: u8) -> Self {
        Self { direction: direction(load), file: File::Vector, bytes, sign_extend: false, to_64: false }
    }

    /// Of the forms for single registers, by size (31:30), V (26) and opc (23:22).
    const fn of_single(word: u32) -> Result<Self, Refused> {
        let size = bits(word, 30, 2);
        let opc = bits(word, 22, 2);
        let bytes = 1 << size;
        if bit(word, 26) {
            return match (size, opc >> 1) {
                (_, 0) => Ok(Self::vector(opc == 1, bytes)),
                (0, _) => Ok(Self::vector(opc == 3, 16)),
                _ => Err(Refused::NotMemory),
            };
        }
        match (opc, size) {
            (0 | 1, _) => Ok(Self::general(opc == 1, bytes)),
            // LDRSB, LDRSH and LDRSW to X; LDRSB and LDRSH to W.
            (2, 0..=2) => Ok(Self { sign_extend: true, to_64: true, ..Self::general(true, bytes) }),
            (3, 0..=1) => Ok(Self { sign_extend: true, ..Self::general(true, bytes) }),
            _ => Err(Refused::NotMemory),
        }
    }
}

/// Load/store exclusive (register and pair), ordered, compare and swap.
fn exclusive(word: u32) -> Result<Transfer, Refused> {
    let size = bits(word, 30, 2);
    let load = bit(word, 22);
    let ordered = bit(word, 15);
    // o2, o1.
    match (bit(word, 23), bit(word, 21)) {
        (false, pair) => {
            if pair && size < 2 {
                // CASP.
                return Err(Refused::Atomic);
            }
            let status = if load { None } else { Some(rs(word)) };
            Ok(Transfer {
                second: pair.then(|| rt2(word)),
                ordering: Ordering::Exclusive { status, ordered },
                ..plain(word, Shape::general(load, 1 << size))
            })
        }
        // LDAR and STLR; without o0, the limited-order ones (LDLAR, STLLR), for which full order is order enough.
        (true, false) => {
            Ok(Transfer { ordering: Ordering::Ordered, ..plain(word, Shape::general(load, 1 << size)) })
        }
        // CAS.
        (true, true) => Err(Refused::Atomic),
    }
}

/// Load register (literal).
fn literal(word: u32) -> Result<Instruction, Refused> {
    let shape = match (bit(word, 26), bits(word, 30, 2)) {
        (false, 0) => Shape::general(true, 4),
        (false, 1) => Shape::general(true, 8),
        (false, 2) => Shape { sign_extend: true, to_64: true, ..Shape::general(true, 4) },
        (false, _) => return Ok(Instruction::Prefetch),
        (true, opc @ 0..=2) => Shape::vector(true, 4 << opc),
        (true, _) => return Err(Refused::NotMemory),
    };
    let offset = Offset::Bytes(signed(word, 5, 19) * 4);
    Ok(Instruction::Transfer(Transfer { base: Base::Pc, offset, ..plain(word, shape) }))
}

/// LDAPR/STLR (unscaled immediate); beside them, memory tags and memory copies.
fn unscaled_ordered(word: u32) -> Result<Transfer, Refused> {
    let form = bits(word, 10, 2);
    let wanted = if bit(word, 26) { 0b10 } else { 0b00 };
    if bit(word, 21) || form != wanted {
        return Err(Refused::Special);
    }
    let shape = Shape::of_single(word)?;
    let offset = Offset::Bytes(signed(word, 12, 9));
    Ok(Transfer { ordering: Ordering::Ordered, offset, ..plain(word, shape) })
}

/// LDP, STP, LDPSW, LDNP and STNP.
fn pair(word: u32) -> Result<Transfer, Refused> {
    let load = bit(word, 22);
    let index = bits(word, 23, 2);
    let shape = match (bit(word, 26), bits(word, 30, 2)) {
        (false, 0) => Shape::general(load, 4),
        (false, 1) if load && index != 0 => {
            Shape { sign_extend: true, to_64: true, ..Shape::general(true, 4) }
        }
        // STGP stores a tag, too; without a load or an index the encoding is not allocated.
        (false, 1) => return Err(Refused::Special),
        (false, 2) => Shape::general(load, 8),
        (true, opc @ 0..=2) => Shape::vector(load, 4 << opc),
        _ => return Err(Refused::NotMemory),
    };
    let amount = signed(word, 15, 7) * i64::from(shape.bytes);
    let (offset, writeback) = match index {
        0b01 => (0, Some(amount)),
        0b11 => (amount, Some(amount)),
        _ => (amount, None),
    };
    Ok(Transfer { second: Some(rt2(word)), offset: Offset::Bytes(offset), writeback, ..plain(word, shape) })
}

/// Load/store register: immediate, unscaled, unprivileged, register offset; beside them, atomics.
fn single(word: u32) -> Result<Instruction, Refused> {
    let form = bits(word, 10, 2);
    let immediate = bit(word, 24);
    if !immediate && bit(word, 21) && form != 0b10 {
        return other_single(word, form);
    }
    let (offset, writeback) = if immediate {
        (None, None)
    } else if bit(word, 21) {
        (Some(register_offset(word)?), None)
    } else {
        let imm9 = signed(word, 12, 9);
        match form {
            0b01 => (Some(Offset::Bytes(0)), Some(imm9)),
            0b11 => (Some(Offset::Bytes(imm9)), Some(imm9)),
            // Unprivileged: there are none for vectors.
            0b10 if bit(word, 26) => return Err(Refused::NotMemory),
            _ => (Some(Offset::Bytes(imm9)), None),
        }
    };
    // PRFM, in the place of a load with sign of eight bytes; it has no writeback.
    if bits(word, 30, 2) == 3 && !bit(word, 26) && bits(word, 22, 2) == 2 {
        return if writeback.is_none() { Ok(Instruction::Prefetch) } else { Err(Refused::NotMemory) };
    }
    let shape = Shape::of_single(word)?;
    let offset =
        offset.unwrap_or_else(|| Offset::Bytes(i64::from(bits(word, 10, 12)) * i64::from(shape.bytes)));
    Ok(Instruction::Transfer(Transfer { offset, writeback, ..plain(word, shape) }))
}

/// The rows of "load/store register" with bit 21 that are neither immediate nor register offset.
fn other_single(word: u32, form: u32) -> Result<Instruction, Refused> {
    let size = bits(word, 30, 2);
    // LDAPR: A, no R, Rs 31, o3, opc 4.
    if form == 0b00 && !bit(word, 26) && bits(word, 12, 12) == 0b1011_1111_1100 {
        let transfer = plain(word, Shape::general(true, 1 << size));
        return Ok(Instruction::Transfer(Transfer { ordering: Ordering::Ordered, ..transfer }));
    }
    // LDRAA and LDRAB authenticate; the rest with 00 are the atomics.
    Err(if form == 0b00 { Refused::Atomic } else { Refused::Special })
}

/// Rm, option and S of "load/store register (register offset)".
fn register_offset(word: u32) -> Result<Offset, Refused> {
    let extend = match bits(word, 13, 3) {
        0b010 => Extend::Word,
        0b110 => Extend::SignedWord,
        0b011 | 0b111 => Extend::Whole,
        _ => return Err(Refused::NotMemory),
    };
    // Shifted, if at all, by the size of the element: 16 bytes for Q registers.
    let is_q = bit(word, 26) && bits(word, 22, 2) >= 2;
    let scale = if is_q { 4 } else { bits(word, 30, 2) as u8 };
    Ok(Offset::Register { index: rs(word), extend, shift: if bit(word, 12) { scale } else { 0 } })
}
