//! Names, numbers and instructions against an assembler's listing: what LLVM (by rustc's `global_asm!`) made of
//! each CSR in all six forms, then instructions that access none, in `listing.txt`, a word and its text in
//! each line.
use std::string::String;
use std::vec::Vec;

use super::*;

const LISTING: &str = include_str!("listing.txt");

const REGISTERS: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

const FORMS: [&str; 6] = ["csrrw", "csrrs", "csrrc", "csrrwi", "csrrsi", "csrrci"];

/// Words, mnemonics and operands.
fn lines() -> impl Iterator<Item = (u32, &'static str, Vec<&'static str>)> {
    LISTING.lines().map(|line| {
        let (word, text) = line.split_once(' ').unwrap();
        let (mnemonic, operands) = text.split_once(' ').unwrap_or((text, ""));
        (u32::from_str_radix(word, 16).unwrap(), mnemonic, operands.split(", ").collect())
    })
}

fn register(name: &str) -> Gpr {
    Gpr::new(REGISTERS.iter().position(|known| *known == name).unwrap() as u32)
}

/// What the text says that should be found.
fn expected(mnemonic: &str, operands: &[&str]) -> Option<Access> {
    let (change, is_immediate) = match mnemonic.strip_prefix("csrr")? {
        "w" => (Change::Write, false),
        "s" => (Change::Set, false),
        "c" => (Change::Clear, false),
        "wi" => (Change::Write, true),
        "si" => (Change::Set, true),
        "ci" => (Change::Clear, true),
        other => panic!("{other}"),
    };
    let [to, csr, operand] = operands else { panic!("{operands:?}") };
    let only_reads = change != Change::Write && ["zero", "0"].contains(operand);
    let operand = match is_immediate {
        true => Operand::Immediate(operand.parse().unwrap()),
        false => Operand::Register(register(operand)),
    };
    let csr = *ALL.iter().find(|known| known.name() == Some(csr)).unwrap();
    Some(Access { csr, to: register(to), change: (!only_reads).then_some((change, operand)) })
}

#[test]
fn every_form_of_the_assembler_is_decoded_as_its_text_says() {
    for (word, mnemonic, operands) in lines() {
        assert_eq!(decode(word), expected(mnemonic, &operands), "{word:08x} {mnemonic} {operands:?}");
    }
}

#[test]
fn the_listing_has_every_name_in_every_form() {
    let mut listed: Vec<(String, &str)> = lines()
        .filter(|(_, mnemonic, _)| FORMS.contains(mnemonic))
        .map(|(_, mnemonic, operands)| (operands[1].into(), mnemonic))
        .collect();
    listed.sort();
    for csr in ALL {
        for form in FORMS {
            let wanted = (csr.name().unwrap().into(), form);
            assert!(listed.binary_search(&wanted).is_ok(), "{wanted:?}");
        }
    }
}

#[test]
fn the_listing_has_reads_alone_and_instructions_of_the_same_opcode_that_access_none() {
    let reads = lines().filter(|(word, ..)| decode(*word).is_some_and(|access| access.change.is_none()));
    assert!(reads.count() > 4);
    let others = lines().filter(|(word, ..)| word & 0x7f == 0b111_0011 && decode(*word).is_none());
    assert!(others.count() > 20);
}

#[test]
fn no_number_has_two_names() {
    for (n, csr) in ALL.iter().enumerate() {
        assert!(ALL.iter().skip(n + 1).all(|other| other.0 != csr.0), "{csr:?}");
    }
}

#[test]
fn counters_have_the_numbers_of_their_names() {
    for csr in ALL {
        let number = match csr.name().unwrap() {
            "cycle" => Some(0),
            "time" => Some(1),
            "instret" => Some(2),
            name => name.strip_prefix("hpmcounter").map(|number| number.parse().unwrap()),
        };
        assert_eq!(csr.counter(), number, "{csr:?}");
    }
}

#[test]
fn changes_do_what_their_names_say() {
    assert_eq!(Change::Write.apply(6, 3), 3);
    assert_eq!(Change::Set.apply(6, 3), 7);
    assert_eq!(Change::Clear.apply(6, 3), 4);
}
