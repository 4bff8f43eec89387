//! The PE/COFF header that makes the flat image an EFI application, too (Microsoft PE Format; UEFI Specification
//! 2.10, 2.1.1 UEFI Images).
//!
//! It stands behind the `Image` header, which begins with `MZ` and says at byte 60 where it is: in the place of DOS's
//! header. Two sections: code, which may be executed, and all the rest, which may be written. The file lies as the
//! memory does, so that offsets and addresses are the same numbers.

use anyhow::{Result, ensure};

/// Where the file says where the PE header is.
const POINTER: usize = 60;
/// Where the PE header is: behind the `Image` header.
const HEADER: usize = 64;
/// What sections, and so the header before them, are aligned to in memory.
const SECTION_ALIGNMENT: u32 = 4096;
/// What the file's length is a multiple of.
const FILE_ALIGNMENT: u32 = 512;

/// Where the parts of an image begin and end, from its first byte on.
pub(super) struct Parts {
    /// `IMAGE_FILE_MACHINE_…`
    pub(super) machine: u16,
    /// The function that firmware calls.
    pub(super) entry: u64,
    /// The end of the code, and the begin of what may be written.
    pub(super) code_end: u64,
    /// The end of the zeroed data and of the symbols.
    pub(super) memory_end: u64,
}

/// Writes the header into the room that `image` has for it, and makes the file as long as it has to be.
pub(super) fn write(image: &mut Vec<u8>, parts: &Parts) -> Result<()> {
    ensure!(image.starts_with(b"MZ"), "the image has an EFI entry, but does not begin with MZ");
    let small = |number: u64| -> Result<u32> { Ok(u32::try_from(number)?) };
    let (code, code_end) = (SECTION_ALIGNMENT, small(parts.code_end)?);
    let memory_end = small(parts.memory_end)?.next_multiple_of(SECTION_ALIGNMENT);
    let entry = small(parts.entry)?;
    ensure!(
        code_end.is_multiple_of(SECTION_ALIGNMENT) && (code..code_end).contains(&entry),
        "the EFI entry at {entry:#x} is not in the code up to {code_end:#x}, or that is not aligned"
    );
    image.resize(image.len().next_multiple_of(FILE_ALIGNMENT as usize), 0);
    let file_end = small(image.len() as u64)?;
    ensure!(
        code_end <= file_end && file_end <= memory_end,
        "the code's end, the file's end and the memory's end are not in this order: {code_end:#x}, {file_end:#x}, {memory_end:#x}"
    );

    let mut header = Vec::new();
    let mut put = |bytes: &[u8]| header.extend_from_slice(bytes);
    put(b"PE\0\0");
    // COFF: machine, sections, no time, no symbols, size of the optional header.
    put(&parts.machine.to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&[0; 12]);
    put(&(112_u16 + 6 * 8).to_le_bytes());
    // IMAGE_FILE_EXECUTABLE_IMAGE, LINE_NUMS_STRIPPED, LOCAL_SYMS_STRIPPED, DEBUG_STRIPPED.
    put(&0x020e_u16.to_le_bytes());
    // PE32+, a linker's version.
    put(&0x020b_u16.to_le_bytes());
    put(&[0, 0]);
    for number in [code_end - code, memory_end - code_end, 0, entry, code] {
        put(&number.to_le_bytes());
    }
    // Loaded anywhere.
    put(&0_u64.to_le_bytes());
    put(&SECTION_ALIGNMENT.to_le_bytes());
    put(&FILE_ALIGNMENT.to_le_bytes());
    // Versions of a system, of the image, of the subsystem; reserved.
    put(&[0; 16]);
    for number in [memory_end, code, 0] {
        put(&number.to_le_bytes());
    }
    // IMAGE_SUBSYSTEM_EFI_APPLICATION; IMAGE_DLLCHARACTERISTICS_NX_COMPAT: sections are what they say.
    put(&10_u16.to_le_bytes());
    put(&0x0100_u16.to_le_bytes());
    // Stack and heap, loader flags; six directories, all empty.
    put(&[0; 36]);
    put(&6_u32.to_le_bytes());
    put(&[0; 6 * 8]);
    // IMAGE_SCN_CNT_CODE, EXECUTE, READ; IMAGE_SCN_CNT_INITIALIZED_DATA, READ, WRITE.
    for (name, start, memory, file, flags) in [
        (b".text\0\0\0", code, code_end, code_end, 0x6000_0020_u32),
        (b".data\0\0\0", code_end, memory_end, file_end, 0xc000_0040),
    ] {
        put(name);
        for number in [memory - start, start, file - start, start, 0, 0, 0, flags] {
            put(&number.to_le_bytes());
        }
    }

    let room = image.get_mut(HEADER..code as usize).unwrap_or_default();
    ensure!(room.len() >= header.len(), "the image has no room for a PE header");
    let (room, rest) = room.split_at_mut(header.len());
    ensure!(
        room.iter().chain(rest.iter()).all(|&byte| byte == 0),
        "what is behind the Image header is not free for a PE header"
    );
    room.copy_from_slice(&header);
    image[POINTER..POINTER + 4].copy_from_slice(&(HEADER as u32).to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use object::LittleEndian as LE;
    use object::read::pe::{ImageOptionalHeader as _, PeFile64};
    use object::{Object as _, ObjectSection as _};

    const PARTS: Parts = Parts { machine: 0xaa64, entry: 0x1800, code_end: 0x3000, memory_end: 0x5004 };

    fn image() -> Vec<u8> {
        let mut image = vec![0; 0x4001];
        image[..2].copy_from_slice(b"MZ");
        image[0x1800] = 7;
        image[0x3005] = 9;
        image
    }

    #[test]
    fn a_reader_of_pe_finds_what_was_written() {
        let mut image = image();
        write(&mut image, &PARTS).unwrap();
        let file = PeFile64::parse(&*image).unwrap();
        assert_eq!(file.architecture(), object::Architecture::Aarch64);
        assert_eq!(file.entry(), 0x1800);
        let optional = &file.nt_headers().optional_header;
        assert_eq!((optional.subsystem().0, optional.size_of_image()), (10, 0x6000));
        assert_eq!((optional.size_of_headers(), optional.section_alignment()), (0x1000, 0x1000));
        let sections: Vec<_> = file.sections().map(|section| (section.address(), section.size())).collect();
        assert_eq!(sections, [(0x1000, 0x2000), (0x3000, 0x3000)]);
        let data: Vec<_> = file.sections().map(|section| section.data().unwrap().len()).collect();
        assert_eq!(data, [0x2000, 0x1200]);
        let flags: Vec<u32> =
            file.section_table().iter().map(|section| section.characteristics.get(LE).0).collect();
        assert_eq!(flags, [0x6000_0020, 0xc000_0040]);
        assert!(image.len().is_multiple_of(512) && image[0x1800] == 7 && image[0x3005] == 9);
    }

    #[test]
    fn what_is_no_image_of_this_form_is_refused() {
        for (wrong, change) in [
            (Parts { entry: 0x800, ..PARTS }, 0),
            (Parts { code_end: 0x2fff, ..PARTS }, 0),
            (Parts { memory_end: 1 << 40, ..PARTS }, 0),
            (PARTS, 1),
            (PARTS, 100),
        ] {
            let mut image = image();
            if change > 0 {
                image[change] ^= 0x55;
            }
            assert!(write(&mut image, &wrong).is_err(), "{change}");
        }
        assert!(write(&mut b"MZ".to_vec(), &PARTS).is_err());
    }
}
