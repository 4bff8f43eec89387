//! Words from an assembler, beside the text that they were assembled from.
use super::{Base, Direction, Extend, File, Instruction, Offset, Ordering, Refused, Transfer, decode};
use crate::Gpr;

const G: File = File::General;
const V: File = File::Vector;
/// A signed load to all 64 bits, or to 32.
const X: bool = true;
const W: bool = false;
const PLAIN: bool = false;
const ORDERED: bool = true;

fn transfer(direction: Direction, file: File, bytes: u8, first: u32) -> Transfer {
    Transfer {
        direction,
        file,
        bytes,
        first: Gpr::new(first),
        second: None,
        sign_extend: false,
        to_64: file == G && bytes == 8,
        ordering: Ordering::Plain,
        base: Base::Register(Gpr::ZERO_OR_SP),
        offset: Offset::Bytes(0),
        writeback: None,
    }
}

fn load(file: File, bytes: u8, first: u32) -> Transfer {
    transfer(Direction::Load, file, bytes, first)
}

fn store(file: File, bytes: u8, first: u32) -> Transfer {
    transfer(Direction::Store, file, bytes, first)
}

impl Transfer {
    fn and(self, second: u32) -> Self {
        Self { second: Some(Gpr::new(second)), ..self }
    }

    fn signed(self, to_64: bool) -> Self {
        Self { sign_extend: true, to_64, ..self }
    }

    fn ordered(self) -> Self {
        Self { ordering: Ordering::Ordered, ..self }
    }

    fn exclusive(self, status: Option<u32>, ordered: bool) -> Self {
        Self { ordering: Ordering::Exclusive { status: status.map(Gpr::new), ordered }, ..self }
    }

    fn at(self, base: u32) -> Self {
        Self { base: Base::Register(Gpr::new(base)), ..self }
    }

    fn at_pc(self) -> Self {
        Self { base: Base::Pc, ..self }
    }

    fn plus(self, bytes: i64) -> Self {
        Self { offset: Offset::Bytes(bytes), ..self }
    }

    fn indexed(self, index: u32, extend: Extend, shift: u8) -> Self {
        Self { offset: Offset::Register { index: Gpr::new(index), extend, shift }, ..self }
    }

    fn back(self, bytes: i64) -> Self {
        Self { writeback: Some(bytes), ..self }
    }
}

#[test]
fn transfers_decode_as_they_were_assembled() {
    let assembled = [
        (0xb940_0041, "ldr w1, [x2]", load(G, 4, 1).at(2)),
        (0xf900_13fe, "str x30, [sp, #32]", store(G, 8, 30).at(31).plus(32)),
        (0x393f_fcbf, "strb wzr, [x5, #4095]", store(G, 1, 31).at(5).plus(4095)),
        (0x785f_f083, "ldrh w3, [x4, #-1]", load(G, 2, 3).at(4).plus(-1)),
        (0x3880_1483, "ldrsb x3, [x4], #1", load(G, 1, 3).signed(X).at(4).back(1)),
        (0x38c0_7c83, "ldrsb w3, [x4, #7]!", load(G, 1, 3).signed(W).at(4).plus(7).back(7)),
        (0x79c0_0489, "ldrsh w9, [x4, #2]", load(G, 2, 9).signed(W).at(4).plus(2)),
        (0xb890_0c89, "ldrsw x9, [x4, #-256]!", load(G, 4, 9).signed(X).at(4).plus(-256).back(-256)),
        (0xb81f_c507, "str w7, [x8], #-4", store(G, 4, 7).at(8).back(-4)),
        (0xf84f_fd07, "ldr x7, [x8, #255]!", load(G, 8, 7).at(8).plus(255).back(255)),
        (0xf840_8907, "ldtr x7, [x8, #8]", load(G, 8, 7).at(8).plus(8)),
        (0x7800_0907, "sttrh w7, [x8]", store(G, 2, 7).at(8)),
        (0xa9c1_0440, "ldp x0, x1, [x2, #16]!", load(G, 8, 0).and(1).at(2).plus(16).back(16)),
        (0x29bf_13e3, "stp w3, w4, [sp, #-8]!", store(G, 4, 3).and(4).at(31).plus(-8).back(-8)),
        (0xa8a0_7bfd, "stp x29, x30, [sp], #-512", store(G, 8, 29).and(30).at(31).back(-512)),
        (0x295f_fd23, "ldp w3, wzr, [x9, #252]", load(G, 4, 3).and(31).at(9).plus(252)),
        (0x6960_1123, "ldpsw x3, x4, [x9, #-256]", load(G, 4, 3).and(4).signed(X).at(9).plus(-256)),
        (0xa840_9123, "ldnp x3, x4, [x9, #8]", load(G, 8, 3).and(4).at(9).plus(8)),
        (0xac00_9123, "stnp q3, q4, [x9, #16]", store(V, 16, 3).and(4).at(9).plus(16)),
        (0x2cc0_9123, "ldp s3, s4, [x9], #4", load(V, 4, 3).and(4).at(9).back(4)),
        (0x6d00_1123, "stp d3, d4, [x9]", store(V, 8, 3).and(4).at(9)),
        (0xade0_0520, "ldp q0, q1, [x9, #-1024]!", load(V, 16, 0).and(1).at(9).plus(-1024).back(-1024)),
        (0x3d40_0420, "ldr b0, [x1, #1]", load(V, 1, 0).at(1).plus(1)),
        (0x7c00_2420, "str h0, [x1], #2", store(V, 2, 0).at(1).back(2)),
        (0x3dff_fc3f, "ldr q31, [x1, #65520]", load(V, 16, 31).at(1).plus(65520)),
        (0x3c9f_f025, "stur q5, [x1, #-1]", store(V, 16, 5).at(1).plus(-1)),
        (0xfc40_9025, "ldur d5, [x1, #9]", load(V, 8, 5).at(1).plus(9)),
        (0xb863_4841, "ldr w1, [x2, w3, uxtw]", load(G, 4, 1).at(2).indexed(3, Extend::Word, 0)),
        (0xb863_d841, "ldr w1, [x2, w3, sxtw #2]", load(G, 4, 1).at(2).indexed(3, Extend::SignedWord, 2)),
        (0xf823_7841, "str x1, [x2, x3, lsl #3]", store(G, 8, 1).at(2).indexed(3, Extend::Whole, 3)),
        (0x78a3_e841, "ldrsh x1, [x2, x3, sxtx]", load(G, 2, 1).signed(X).at(2).indexed(3, Extend::Whole, 0)),
        (0x3ce3_7841, "ldr q1, [x2, x3, lsl #4]", load(V, 16, 1).at(2).indexed(3, Extend::Whole, 4)),
        (0x3c23_6841, "str b1, [x2, x3]", store(V, 1, 1).at(2).indexed(3, Extend::Whole, 0)),
        (0x5800_0045, "ldr x5, . + 8", load(G, 8, 5).at_pc().plus(8)),
        (0x18ff_ffc5, "ldr w5, . - 8", load(G, 4, 5).at_pc().plus(-8)),
        (0x987f_ffe5, "ldrsw x5, . + 1048572", load(G, 4, 5).signed(X).at_pc().plus(1048572)),
        (0x9c80_0005, "ldr q5, . - 1048576", load(V, 16, 5).at_pc().plus(-1048576)),
        (0x88df_fc41, "ldar w1, [x2]", load(G, 4, 1).ordered().at(2)),
        (0x089f_fc41, "stlrb w1, [x2]", store(G, 1, 1).ordered().at(2)),
        (0xf8bf_c041, "ldapr x1, [x2]", load(G, 8, 1).ordered().at(2)),
        (0x78bf_c041, "ldaprh w1, [x2]", load(G, 2, 1).ordered().at(2)),
        (0xc8df_7c41, "ldlar x1, [x2]", load(G, 8, 1).ordered().at(2)),
        (0x999f_c041, "ldapursw x1, [x2, #-4]", load(G, 4, 1).signed(X).ordered().at(2).plus(-4)),
        (0x19c0_3041, "ldapursb w1, [x2, #3]", load(G, 1, 1).signed(W).ordered().at(2).plus(3)),
        (0x5900_3041, "stlurh w1, [x2, #3]", store(G, 2, 1).ordered().at(2).plus(3)),
        (0x885f_7c41, "ldxr w1, [x2]", load(G, 4, 1).exclusive(None, PLAIN).at(2)),
        (0x085f_fc41, "ldaxrb w1, [x2]", load(G, 1, 1).exclusive(None, ORDERED).at(2)),
        (0xc809_7c41, "stxr w9, x1, [x2]", store(G, 8, 1).exclusive(Some(9), PLAIN).at(2)),
        (0x4809_fc41, "stlxrh w9, w1, [x2]", store(G, 2, 1).exclusive(Some(9), ORDERED).at(2)),
        (0xc87f_0c41, "ldxp x1, x3, [x2]", load(G, 8, 1).and(3).exclusive(None, PLAIN).at(2)),
        (0x8829_8c41, "stlxp w9, w1, w3, [x2]", store(G, 4, 1).and(3).exclusive(Some(9), ORDERED).at(2)),
    ];
    for (word, text, expected) in assembled {
        assert_eq!(decode(word), Ok(Instruction::Transfer(expected)), "{text}");
    }
}

#[test]
fn what_is_no_transfer_is_refused_with_its_reason() {
    let assembled = [
        (0x88a0_7c41, "cas w0, w1, [x2]", Refused::Atomic),
        (0x4820_7c82, "casp x0, x1, x2, x3, [x4]", Refused::Atomic),
        (0x08e0_fc41, "casalb w0, w1, [x2]", Refused::Atomic),
        (0xf820_0041, "ldadd x0, x1, [x2]", Refused::Atomic),
        (0xb8e0_8041, "swpal w0, w1, [x2]", Refused::Atomic),
        (0x3860_6041, "ldumaxlb w0, w1, [x2]", Refused::Atomic),
        (0x4c40_7000, "ld1 {v0.16b}, [x0]", Refused::Structure),
        (0x4c9f_0820, "st4 {v0.4s, v1.4s, v2.4s, v3.4s}, [x1], #64", Refused::Structure),
        (0x0d40_9060, "ld1 {v0.s}[1], [x3]", Refused::Structure),
        (0x4dc5_cc40, "ld1r {v0.2d}, [x2], x5", Refused::Structure),
        (0xf820_1420, "ldraa x0, [x1, #8]", Refused::Special),
        (0xf8a0_1c20, "ldrab x0, [x1, #8]!", Refused::Special),
        (0x6900_0440, "stgp x0, x1, [x2]", Refused::Special),
        (0xd920_0840, "stg x0, [x2]", Refused::Special),
        (0xd960_0040, "ldg x0, [x2]", Refused::Special),
        (0xd503_201f, "nop", Refused::NotMemory),
        (0x8b02_0020, "add x0, x1, x2", Refused::NotMemory),
        (0xd538_0000, "mrs x0, midr_el1", Refused::NotMemory),
        (0xd50b_7a20, "dc cvac, x0", Refused::NotMemory),
        (0x1400_0000, "b .", Refused::NotMemory),
        (0x1e62_2820, "fadd d0, d1, d2", Refused::NotMemory),
        (0xd65f_03c0, "ret", Refused::NotMemory),
    ];
    for (word, text, expected) in assembled {
        assert_eq!(decode(word), Err(expected), "{text}");
    }
}

#[test]
fn prefetches_and_block_zeroing_are_recognized() {
    let prefetches = [
        0xf980_0000, // prfm pldl1keep, [x0]
        0xf8a1_6800, // prfm pldl1keep, [x0, x1]
        0xf89f_d010, // prfum pstl1keep, [x0, #-3]
        0xd800_0043, // prfm pldl2strm, . + 8
    ];
    for word in prefetches {
        assert_eq!(decode(word), Ok(Instruction::Prefetch), "{word:#x}");
    }
    let zero = Instruction::ZeroBlock { address: Gpr::new(7) };
    assert_eq!(decode(0xd50b_7427), Ok(zero), "dc zva, x7");
}

#[test]
fn no_word_upsets_the_decoder() {
    let mut word = 0x1234_5678u32;
    for _ in 0..2_000_000 {
        word ^= word << 13;
        word ^= word >> 17;
        word ^= word << 5;
        // Half of them in the space of loads and stores.
        let word = if word & 1 == 0 { word } else { (word | 1 << 27) & !(1 << 25) };
        if let Ok(Instruction::Transfer(transfer)) = decode(word) {
            assert!(transfer.total_bytes() <= 32);
            assert!(transfer.writeback.is_none() || transfer.base != Base::Pc);
            transfer.address(u64::MAX, |_| u64::MAX);
            transfer.extend(u64::MAX);
        }
    }
}

#[test]
fn addresses_are_counted_from_base_and_index() {
    let at = |extend, shift| load(G, 4, 0).indexed(3, extend, shift).address(0x1000, |_| 0x1_ffff_fffc);
    assert_eq!(at(Extend::SignedWord, 2), 0xff0);
    assert_eq!(at(Extend::Word, 0), 0x1_0000_0ffc);
    assert_eq!(at(Extend::Whole, 2), 0x8_0000_0ff0);
    assert_eq!(load(G, 4, 0).plus(-16).address(0x1000, |_| 0), 0xff0);
}
