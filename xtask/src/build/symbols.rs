//! The table of function names that the image carries for its own backtraces.
//!
//! All numbers are 32-bit little-endian:
//!
//! | what | how many |
//! |---|---|
//! | magic number `SYMS` | 1 |
//! | count of entries | 1 |
//! | the function's offset from the image's start, then its name's offset in the names | count × 2, sorted |
//! | length of the names in bytes | 1 |
//! | names, UTF-8, each with a zero byte behind it | |

use std::collections::HashMap;

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// `SYMS` as a number, the first letter in the highest byte.
const MAGIC: u32 = 0x5359_4d53;
/// A longer name is cut.
const LONGEST_NAME: usize = 80;

/// Makes the table of the functions in `elf`, whose image begins at address `base`.
pub(crate) fn blob(elf: &ElfFile64<'_, LittleEndian>, base: u64) -> Vec<u8> {
    let is_code = |symbol: &object::read::elf::ElfSymbol64<'_, '_, LittleEndian>| {
        let section = symbol.section_index().and_then(|index| elf.section_by_index(index).ok());
        section.is_some_and(|section| section.kind() == SectionKind::Text)
    };
    let named = elf.symbols().filter(|symbol| match symbol.kind() {
        SymbolKind::Text => true,
        // Labels of the assembly, such as the vectors; not the linker's marks.
        SymbolKind::Unknown | SymbolKind::Label => {
            is_code(symbol) && !symbol.name().unwrap_or_default().starts_with(['$', '.'])
        }
        _ => false,
    });
    let mut entries: Vec<(u32, String)> = named
        .filter_map(|symbol| {
            let offset = u32::try_from(symbol.address().checked_sub(base)?).ok()?;
            let name = readable(symbol.name().ok()?);
            (!name.is_empty()).then_some((offset, name))
        })
        .collect();
    entries.sort();
    entries.dedup_by_key(|(offset, _)| *offset);
    encode(&entries)
}

fn encode(entries: &[(u32, String)]) -> Vec<u8> {
    let mut names = Vec::new();
    let mut places: HashMap<&str, u32> = HashMap::new();
    let mut blob = Vec::new();
    let number = |blob: &mut Vec<u8>, value: usize| blob.extend((value as u32).to_le_bytes());
    number(&mut blob, MAGIC as usize);
    number(&mut blob, entries.len());
    for (offset, name) in entries {
        let place = *places.entry(name).or_insert_with(|| {
            let place = names.len() as u32;
            names.extend(name.bytes());
            names.push(0);
            place
        });
        number(&mut blob, *offset as usize);
        number(&mut blob, place as usize);
    }
    number(&mut blob, names.len());
    blob.extend(names);
    blob
}

/// The name as a person wants to read it: demangled, without the hash, and not too long.
fn readable(mangled: &str) -> String {
    let mut name = format!("{:#}", rustc_demangle::demangle(mangled));
    if name.len() > LONGEST_NAME {
        name = without_parameters(&name);
    }
    if name.len() > LONGEST_NAME {
        let cut = (0..=LONGEST_NAME - 3).rev().find(|&at| name.is_char_boundary(at)).unwrap_or(0);
        name.truncate(cut);
        name.push('…');
    }
    name
}

/// `a::<B<C>>::d` → `a::<…>::d`; an outermost `<T as Trait>::f` keeps its types.
fn without_parameters(name: &str) -> String {
    let mut short = String::new();
    let mut depth = 0usize;
    let mut previous = ' ';
    for letter in name.chars() {
        let closes = letter == '>' && previous != '-';
        match letter {
            '<' => {
                short.push_str(["<", "<…>", ""][depth.min(2)]);
                depth += 1;
            }
            '>' if closes => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    short.push('>');
                }
            }
            _ if depth <= 1 => short.push(letter),
            _ => {}
        }
        previous = letter;
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(blob: &[u8], index: usize) -> u32 {
        u32::from_le_bytes(blob[index * 4..index * 4 + 4].try_into().unwrap())
    }

    #[test]
    fn a_name_used_twice_is_stored_once() {
        let entries = [(0, "a".to_owned()), (8, "bc".to_owned()), (16, "a".to_owned())];
        let blob = encode(&entries);
        assert_eq!(word(&blob, 0), 0x5359_4d53);
        assert_eq!(word(&blob, 1), 3);
        assert_eq!([2, 3, 4, 5, 6, 7].map(|index| word(&blob, index)), [0, 0, 8, 2, 16, 0]);
        assert_eq!(word(&blob, 8), 5);
        assert_eq!(&blob[36..], b"a\0bc\0");
    }

    #[test]
    fn hashes_are_cut_and_long_names_shortened() {
        assert_eq!(readable("_ZN4core3fmt9Formatter3pad17h0123456789abcdefE"), "core::fmt::Formatter::pad");
        assert_eq!(readable("vectors"), "vectors");
        let long = readable(&"x".repeat(200));
        assert!(long.len() <= LONGEST_NAME && long.ends_with('…'));
    }

    #[test]
    fn inner_parameters_go_first() {
        assert_eq!(without_parameters("<a::B<C<D>> as e::F>::g::<H>"), "<a::B<…> as e::F>::g::<H>");
        assert_eq!(without_parameters("f::<fn(A) -> B<C>>::d"), "f::<fn(A) -> B<…>>::d");
    }
}
