//! The decoder against an assembler's listing: what LLVM (by rustc's `global_asm!`) made of every form, in
//! `listing.txt`, a word and its text in each line.
use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;

const LISTING: &str = include_str!("listing.txt");

const INTEGERS: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];
const FLOATS: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

struct Line {
    word: u32,
    compressed: bool,
    text: &'static str,
}

fn lines() -> impl Iterator<Item = Line> {
    LISTING.lines().map(|line| {
        let (word, text) = line.split_once(' ').unwrap();
        Line { word: u32::from_str_radix(word, 16).unwrap(), compressed: word.len() == 4, text }
    })
}

/// What the text says that should be found.
fn expected(line: &Line) -> Result<Transfer, Refused> {
    let (mnemonic, operands) = line.text.split_once(' ').unwrap_or((line.text, ""));
    if ["lr.", "sc.", "amo"].iter().any(|atomic| mnemonic.starts_with(atomic)) {
        return Err(Refused::Atomic);
    }
    let name = mnemonic.trim_start_matches("c.").trim_end_matches("sp");
    let first = operands.split(',').next().unwrap_or_default();
    let integer = || Gpr::new(INTEGERS.iter().position(|name| *name == first).unwrap() as u32);
    let float = || Register::Float(FLOATS.iter().position(|name| *name == first).unwrap() as u8);
    let (direction, size, register) = match name {
        "lb" => (Direction::Load, 0, Register::Sign(integer())),
        "lh" => (Direction::Load, 1, Register::Sign(integer())),
        "lw" => (Direction::Load, 2, Register::Sign(integer())),
        "ld" => (Direction::Load, 3, Register::Sign(integer())),
        "lbu" => (Direction::Load, 0, Register::Zero(integer())),
        "lhu" => (Direction::Load, 1, Register::Zero(integer())),
        "lwu" => (Direction::Load, 2, Register::Zero(integer())),
        "sb" => (Direction::Store, 0, Register::Zero(integer())),
        "sh" => (Direction::Store, 1, Register::Zero(integer())),
        "sw" => (Direction::Store, 2, Register::Zero(integer())),
        "sd" => (Direction::Store, 3, Register::Zero(integer())),
        "flh" => (Direction::Load, 1, float()),
        "flw" => (Direction::Load, 2, float()),
        "fld" => (Direction::Load, 3, float()),
        "fsh" => (Direction::Store, 1, float()),
        "fsw" => (Direction::Store, 2, float()),
        "fsd" => (Direction::Store, 3, float()),
        _ => return Err(Refused::NotMemory),
    };
    let length = if line.compressed { Length::Two } else { Length::Four };
    Ok(Transfer { direction, size, register, length })
}

#[test]
fn every_form_of_the_assembler_is_decoded_as_its_text_says() {
    let mut seen = 0;
    for line in lines() {
        // What follows a compressed instruction in memory does not matter.
        let words = if line.compressed { [line.word, line.word | 0xabcd_0000] } else { [line.word; 2] };
        for word in words {
            assert_eq!(decode(word), expected(&line), "{:08x} {}", line.word, line.text);
        }
        seen += 1;
    }
    assert!(seen > 1300, "{seen} lines");
}

#[test]
fn the_listing_has_every_mnemonic_in_both_lengths() {
    let mnemonics: Vec<&str> = lines().map(|line| line.text.split(' ').next().unwrap()).collect();
    let plain = "lb lh lw ld lbu lhu lwu sb sh sw sd flh flw fld fsh fsw fsd";
    let short = "c.lw c.ld c.sw c.sd c.fld c.fsd c.lbu c.lhu c.lh c.sb c.sh c.lwsp c.ldsp c.swsp c.sdsp c.fldsp c.fsdsp";
    for mnemonic in plain.split(' ').chain(short.split(' ')) {
        assert!(mnemonics.contains(&mnemonic), "{mnemonic}");
    }
}

/// Those that read and write at once or reserve, those of vectors, and those that a hypervisor has for its guests'
/// memory.
fn mnemonics_that_are_refused() -> Vec<String> {
    let orders = ["", ".aq", ".rl", ".aqrl"];
    let mut all = Vec::new();
    for order in orders {
        all.extend(["lr.w", "lr.d", "sc.w", "sc.d"].map(|name| format!("{name}{order}")));
        for width in ["b", "h", "w", "d"] {
            let operations = ["add", "and", "or", "xor", "swap", "min", "max", "minu", "maxu", "cas"];
            all.extend(operations.map(|operation| format!("amo{operation}.{width}{order}")));
        }
        all.push(format!("amocas.q{order}"));
    }
    for bits in [8, 16, 32, 64] {
        for segments in ["", "seg2", "seg3", "seg4", "seg5", "seg6", "seg7", "seg8"] {
            all.extend(["vl", "vs", "vls", "vss"].map(|name| format!("{name}{segments}e{bits}.v")));
            all.push(format!("vl{segments}e{bits}ff.v"));
            all.extend(["vlux", "vlox", "vsux", "vsox"].map(|name| format!("{name}{segments}ei{bits}.v")));
        }
        all.extend([1, 2, 4, 8].map(|registers| format!("vl{registers}re{bits}.v")));
    }
    all.extend([1, 2, 4, 8].map(|registers| format!("vs{registers}r.v")));
    all.extend(["vlm.v", "vsm.v", "hlvx.hu", "hlvx.wu", "flq", "fsq"].map(String::from));
    all.extend(["b", "bu", "h", "hu", "w", "wu", "d"].map(|width| format!("hlv.{width}")));
    all.extend(["b", "h", "w", "d"].map(|width| format!("hsv.{width}")));
    all
}

#[test]
fn the_listing_has_every_mnemonic_that_is_refused() {
    let listed: Vec<&str> = lines().map(|line| line.text.split(' ').next().unwrap()).collect();
    for mnemonic in mnemonics_that_are_refused() {
        assert!(listed.contains(&mnemonic.as_str()), "{mnemonic}");
    }
}

#[test]
fn reserved_encodings_are_no_loads_and_stores() {
    // LOAD of width 7, STORE of widths 4 to 7.
    for word in [0x0005_f503, 0x00a5_c023, 0x00a5_d023, 0x00a5_e023, 0x00a5_f023] {
        assert_eq!(decode(word), Err(Refused::NotMemory), "{word:08x}");
    }
    // C.LWSP and C.LDSP to x0, C.SH with bit 6 set, the rest of Zcb's group.
    for parcel in [0x4002, 0x6002, 0x8c40, 0x9000, 0x9400, 0x9800, 0x9c00] {
        assert_eq!(decode(parcel), Err(Refused::NotMemory), "{parcel:04x}");
    }
}

#[test]
fn an_address_is_what_the_text_says() {
    let mut seen = 0;
    for line in lines() {
        if decode(line.word).is_err() {
            continue;
        }
        let (offset, base) = line.text.rsplit_once('(').unwrap();
        let offset = offset.rsplit_once([',', ' ']).unwrap().1.parse().unwrap();
        let base = INTEGERS.iter().position(|name| *name == base.trim_end_matches(')')).unwrap();
        let above = if line.compressed { 0xabcd_0000 } else { 0 };
        for word in [line.word, line.word | above] {
            assert_eq!(address(word), (Gpr::new(base as u32), offset), "{:08x} {}", line.word, line.text);
        }
        seen += 1;
    }
    assert!(seen > 600, "{seen} lines");
}

/// How a trap tells an instruction of the standard length (Priv, 'Transformed instruction'): without its
/// offset, and with the offset from the address in place of the base register.
fn transform(word: u32, direction: Direction) -> u32 {
    match direction {
        Direction::Load => word & 0x0000_7fff,
        Direction::Store => word & 0x01f0_707f,
    }
}

#[test]
fn a_transformed_instruction_tells_the_same_as_the_instruction() {
    for line in lines().filter(|line| !line.compressed) {
        if let Ok(transfer) = decode(line.word) {
            let htinst = u64::from(transform(line.word, transfer.direction));
            for misalignment in [0, 3 << 15] {
                assert_eq!(transformed(htinst | misalignment), Some(Ok(transfer)), "{}", line.text);
                assert_eq!(address_offset(htinst | misalignment), misalignment >> 15);
            }
            let short = Transfer { length: Length::Two, ..transfer };
            assert_eq!(transformed(htinst & !2), Some(Ok(short)), "{} as a compressed one", line.text);
        }
    }
}

#[test]
fn pseudoinstructions_and_zero_tell_nothing() {
    for htinst in [0, 0x0000_2000, 0x0000_2020, 0x0000_3000, 0x0000_3020] {
        assert_eq!(transformed(htinst), None);
    }
}

#[test]
fn values_are_extended_as_the_register_wants() {
    let load = |text: &str| {
        let line = lines().find(|line| line.text.starts_with(text)).unwrap();
        decode(line.word).unwrap()
    };
    assert_eq!(load("lb ").extend(0x80), 0xffff_ffff_ffff_ff80);
    assert_eq!(load("lbu ").extend(0x1ff), 0xff);
    assert_eq!(load("lh ").extend(0x8000), 0xffff_ffff_ffff_8000);
    assert_eq!(load("lhu ").extend(0x8000), 0x8000);
    assert_eq!(load("lw ").extend(0x8000_0000), 0xffff_ffff_8000_0000);
    assert_eq!(load("lwu ").extend(0xffff_ffff_8000_0000), 0x8000_0000);
    assert_eq!(load("ld ").extend(u64::MAX), u64::MAX);
    assert_eq!(load("flh ").extend(0x3c00), 0xffff_ffff_ffff_3c00);
    assert_eq!(load("flw ").extend(0x3f80_0000), 0xffff_ffff_3f80_0000);
    assert_eq!(load("fld ").extend(1), 1);
    assert_eq!(load("c.lw ").extend(0x8000_0000), 0xffff_ffff_8000_0000);
}

#[test]
fn no_word_makes_the_decoder_panic_and_lengths_agree() {
    // All parcels, and a walk through the 32-bit space with a stride that is prime.
    for parcel in 0..=u16::MAX {
        if let Ok(transfer) = decode(parcel.into())
            && parcel & 3 != 3
        {
            assert_eq!(transfer.length, Length::of(parcel));
        }
    }
    let mut word = 3u32;
    for _ in 0..2_000_000 {
        word = word.wrapping_add(2_654_435_761);
        if let Ok(transfer) = decode(word) {
            assert!(transfer.size <= 3);
            assert_eq!(transfer.length, Length::of(word as u16), "{word:08x}");
        }
        let _ = transformed(word.into());
    }
}
