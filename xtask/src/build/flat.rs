//! From the ELF file to the flat image: segments at their distances from the lowest address, then
//! the symbols, then the header's size field. In the file the symbols stand where memory has the zeroed data;
//! start-up moves them behind it, so that the file need not hold what is zero.
//!
//! What the linked program offers for this, by symbol:
//!
//! | symbol | meaning |
//! |---|---|
//! | `__image_start` | the first byte, where the header of a Linux Image stands |
//! | `__bss_start` | where the zeroed data begins, behind everything else that is loaded |
//! | `__image_end` | the end of the zeroed data, page aligned |
//! | `__text_end` | the end of the code, page aligned |
//! | `efi_start` | where EFI firmware enters; there is a page for the PE header then, and code begins behind it |
//! | `__symbols_info` | eight bytes in the data: the symbols' offset in memory, and their length, a multiple of 16; 0 where there are none |

use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use object::elf::PT_LOAD;
use object::read::elf::{ElfFile64, ProgramHeader as _};
use object::{LittleEndian, Object as _, ObjectSection as _, ObjectSymbol as _, SectionKind};

use super::{pe, symbols};
use crate::arch::Arch;

/// Where the Image header says how much memory the image takes, file and zeroed data
/// (Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst).
const HEADER_IMAGE_SIZE: usize = 16;
/// What start-up moves at a time.
const SYMBOLS_ALIGNMENT: usize = 16;
/// A link script that goes wrong easily asks for gigabytes.
const LARGEST: u64 = 64 << 20;

/// How the image's bytes are used.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    text: u64,
    constants: u64,
    data: u64,
    zeroed: u64,
    symbols: usize,
    file: usize,
}

impl fmt::Display for Sizes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} bytes (text {}, rodata {}, data {}, bss {}, symbols {})",
            self.file, self.text, self.constants, self.data, self.zeroed, self.symbols
        )
    }
}

/// Makes the flat image.
pub(crate) fn image(arch: &Arch, elf: &[u8]) -> Result<(Vec<u8>, Sizes)> {
    let elf = ElfFile64::<LittleEndian>::parse(elf).context("this is no 64-bit little-endian ELF file")?;
    let (base, mut image) = load(&elf)?;
    let mut sizes = section_sizes(&elf);

    let address = |name: &str| {
        let mut symbols = elf.symbols();
        symbols.find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address())
    };
    let start = address("__image_start").context("there is no symbol __image_start")?;
    ensure!(start == base, "__image_start is {start:#x}, but the first segment is at {base:#x}");
    let end = address("__image_end").context("there is no symbol __image_end")?;
    ensure!(end > start && end - start < LARGEST, "__image_end is {end:#x}, which makes no sense");
    ensure!(
        arch.is_flat_kernel(&image),
        "the image does not begin with the header of a Linux {} Image",
        arch.name
    );

    let mut memory = end - start;
    if let Some(slot) = address("__symbols_info") {
        let mut blob = symbols::blob(&elf, base)
            .context("the image has more functions than its table of names can tell apart")?;
        blob.resize(blob.len().next_multiple_of(SYMBOLS_ALIGNMENT), 0);
        let offset = usize::try_from(end - start)?;
        let zeroed = address("__bss_start").context("there is no symbol __bss_start")?;
        let place = usize::try_from(zeroed.checked_sub(base).context("__bss_start lies outside the image")?)?;
        ensure!(
            image.len() <= place && place <= offset,
            "__bss_start is not behind all that is loaded, or not before __image_end"
        );
        ensure!(
            place.is_multiple_of(SYMBOLS_ALIGNMENT) && offset.is_multiple_of(SYMBOLS_ALIGNMENT),
            "__bss_start or __image_end is not aligned"
        );
        let slot = usize::try_from(slot.checked_sub(base).context("__symbols_info lies outside the image")?)?;
        ensure!(slot + 8 <= image.len(), "__symbols_info lies in zeroed memory, so start-up would clear it");
        image.resize(place, 0);
        let info = image.get_mut(slot..slot + 8).context("__symbols_info lies outside the image")?;
        if info.iter().any(|&byte| byte != 0) {
            bail!("__symbols_info is used for something else");
        }
        info[..4].copy_from_slice(&u32::try_from(offset)?.to_le_bytes());
        info[4..].copy_from_slice(&u32::try_from(blob.len())?.to_le_bytes());
        image.extend(&blob);
        sizes.symbols = blob.len();
        memory = ((offset + blob.len()) as u64).next_multiple_of(4096);
    }
    if let Some(entry) = address("efi_start") {
        let code_end = address("__text_end").context("there is no symbol __text_end")?;
        let parts = pe::Parts {
            machine: arch.pe_machine,
            entry: entry - start,
            code_end: code_end - start,
            memory_end: memory,
        };
        pe::write(&mut image, &parts)?;
        memory = memory.max((image.len() as u64).next_multiple_of(4096));
    }
    let field = image.get_mut(HEADER_IMAGE_SIZE..HEADER_IMAGE_SIZE + 8).context("the image is empty")?;
    field.copy_from_slice(&memory.to_le_bytes());
    sizes.file = image.len();
    Ok((image, sizes))
}

/// The loadable segments, and the address of the first byte.
fn load(elf: &ElfFile64<'_, LittleEndian>) -> Result<(u64, Vec<u8>)> {
    let endian = elf.endian();
    let loads = || {
        let headers = elf.elf_program_headers().iter();
        headers.filter(move |header| header.p_type(endian) == PT_LOAD && header.p_filesz(endian) > 0)
    };
    let base = loads().map(|header| header.p_paddr(endian)).min().context("it has nothing to load")?;
    let mut image: Vec<u8> = Vec::new();
    for header in loads() {
        let offset = header.p_paddr(endian) - base;
        let end = offset.saturating_add(header.p_filesz(endian));
        ensure!(end < LARGEST, "the segment at {:#x} is out of reach of the first", header.p_paddr(endian));
        let (offset, end) = (usize::try_from(offset)?, usize::try_from(end)?);
        let bytes = header.data(endian, elf.data()).ok().context("a segment is cut off")?;
        if image.len() < end {
            image.resize(end, 0);
        }
        image[offset..end].copy_from_slice(bytes);
    }
    Ok((base, image))
}

fn section_sizes(elf: &ElfFile64<'_, LittleEndian>) -> Sizes {
    let mut sizes = Sizes::default();
    for section in elf.sections() {
        let sum = match section.kind() {
            SectionKind::Text => &mut sizes.text,
            SectionKind::ReadOnlyData | SectionKind::ReadOnlyDataWithRel | SectionKind::ReadOnlyString => {
                &mut sizes.constants
            }
            SectionKind::Data => &mut sizes.data,
            SectionKind::UninitializedData => &mut sizes.zeroed,
            _ => continue,
        };
        *sum += section.size();
    }
    sizes
}
