//! The functions of an ELF file, as the image's own table of names (`lib/symbols`) has them.

use object::read::elf::ElfFile64;
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind, SymbolKind};

/// A longer name is shortened.
const LONGEST_NAME: usize = symbols::LONGEST_NAME;

/// Makes the table of the functions in `elf`, whose image begins at address `base`.
pub(crate) fn blob(elf: &ElfFile64<'_, LittleEndian>, base: u64) -> Option<Vec<u8>> {
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
    symbols::encode(&entries)
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
