//! The Linux kernel for arm64 and for RISC-V (Linux, Documentation/arch/arm64/booting.rst and
//! Documentation/arch/riscv/boot-image-header.rst), and the wrapping which only UEFI can start
//! (drivers/firmware/efi/libstub/zboot-header.S).

use core::fmt;

use crate::{Kind, bytes_at, le32};

/// What stands at offset 56 of a kernel for arm64.
pub const ARM64_MAGIC: [u8; 4] = *b"ARM\x64";
/// What stands at offset 56 of a kernel for RISC-V.
pub const RISCV_MAGIC: [u8; 4] = *b"RSC\x05";

/// Bytes of the header.
pub const HEADER_SIZE: usize = 64;

/// The header of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// For which processor: [`ARM64_MAGIC`] or [`RISCV_MAGIC`].
    pub magic: [u8; 4],
    /// Where the image has to be, behind an address which is a multiple of 2 MiB. Its entry is its start.
    pub text_offset: u64,
    /// Bytes of memory it needs from its start, with what is behind the file's end; at least the file's length.
    pub memory_size: u64,
    /// The page size it was built for, in bytes, if it says so.
    pub page_size: Option<u32>,
    /// Whether it may lie anywhere in RAM, and not only near its beginning.
    pub anywhere: bool,
}

/// Why bytes are no kernel that can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotImage {
    /// They are something else.
    Other(Kind),
    /// They end too early: how many there are, and how many there have to be.
    Truncated {
        /// Bytes there are.
        has: u64,
        /// Bytes needed.
        needs: u64,
    },
    /// It is for big-endian processors.
    BigEndian,
    /// The header has a size or an offset that can't be.
    Header,
}

impl fmt::Display for NotImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotImage::Other(Kind::Zboot) => {
                f.write_str("an EFI zboot image, which has to be unwrapped before it can be started")
            }
            NotImage::Other(kind) => write!(f, "no Linux Image, but {kind}"),
            NotImage::Truncated { has, needs } => write!(f, "truncated: {has} bytes of {needs}"),
            NotImage::BigEndian => f.write_str("a big-endian kernel, which can't be started"),
            NotImage::Header => f.write_str("a kernel header which makes no sense"),
        }
    }
}

impl core::error::Error for NotImage {}

impl Image {
    /// Reads the header of `file`; as much of the file as there is should be given, for its length to be checked.
    ///
    /// # Errors
    /// It is no such kernel, or not all of it.
    pub fn parse(file: &[u8]) -> Result<Image, NotImage> {
        let kind = Kind::detect(file);
        let magic = match kind {
            Kind::Arm64Image => ARM64_MAGIC,
            Kind::RiscvImage => RISCV_MAGIC,
            _ => return Err(NotImage::Other(kind)),
        };
        let has = file.len() as u64;
        let short = NotImage::Truncated { has, needs: HEADER_SIZE as u64 };
        let header: &[u8; HEADER_SIZE] = file.first_chunk().ok_or(short)?;
        let field = |offset| bytes_at(header, offset).map(u64::from_le_bytes).ok_or(short);
        let (text_offset, image_size, flags) = (field(8)?, field(16)?, field(24)?);
        if flags & 1 != 0 {
            return Err(NotImage::BigEndian);
        }
        let needs = pe_end(file).unwrap_or(0);
        if needs > has {
            return Err(NotImage::Truncated { has, needs });
        }
        // Before Linux 3.17 the size was 0 and the offset of unknown endianness, in truth 0x80000.
        let is_old = magic == ARM64_MAGIC && image_size == 0;
        let text_offset = if is_old { 0x8_0000 } else { text_offset };
        if text_offset.checked_add(image_size).is_none_or(|end| end > 1 << 48) {
            return Err(NotImage::Header);
        }
        // The other flags are arm64's.
        let flags = if magic == ARM64_MAGIC { flags } else { 0 };
        Ok(Image {
            magic,
            text_offset,
            memory_size: image_size.max(has),
            page_size: match flags >> 1 & 3 {
                1 => Some(4 << 10),
                2 => Some(16 << 10),
                3 => Some(64 << 10),
                _ => None,
            },
            anywhere: flags & 8 != 0,
        })
    }
}

/// Where the last section of a PE program ends in its file, if this is one: an image does not say otherwise
/// how long its file is (PE format, "COFF file header" and "section table").
fn pe_end(file: &[u8]) -> Option<u64> {
    let header = usize::try_from(le32(file, 60)?).ok()?;
    if !file.starts_with(b"MZ") || bytes_at(file, header)? != *b"PE\0\0" {
        return None;
    }
    let sections = u16::from_le_bytes(bytes_at(file, header + 6)?);
    let optional = u16::from_le_bytes(bytes_at(file, header + 20)?);
    let table = file.get(header + 24 + usize::from(optional)..)?;
    let ends = table.chunks_exact(40).take(usize::from(sections)).map(|section| {
        let (size, start) = (le32(section, 16).unwrap_or(0), le32(section, 20).unwrap_or(0));
        // A section without bytes in the file says nothing.
        if size == 0 { 0 } else { u64::from(start) + u64::from(size) }
    });
    ends.max()
}

/// A kernel compressed within a UEFI program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Zboot<'a> {
    /// How it is compressed: `gzip`, `zstd`, …
    pub compression: &'a str,
    /// The compressed kernel.
    pub payload: &'a [u8],
}

impl<'a> Zboot<'a> {
    /// Finds the kernel in `file`.
    ///
    /// # Errors
    /// It is no such program, or not all of it.
    pub fn parse(file: &'a [u8]) -> Result<Self, NotImage> {
        let kind = Kind::detect(file);
        if kind != Kind::Zboot {
            return Err(NotImage::Other(kind));
        }
        let truncated = |needs| NotImage::Truncated { has: file.len() as u64, needs };
        let field = |offset| le32(file, offset).map(u64::from).ok_or(truncated(HEADER_SIZE as u64));
        let (start, size) = (field(8)?, field(12)?);
        let name = file.get(24..56).ok_or(truncated(HEADER_SIZE as u64))?;
        let name = name.split(|&byte| byte == 0).next().unwrap_or(&[]);
        let range = usize::try_from(start).ok().zip(usize::try_from(start + size).ok());
        let payload = range.and_then(|(start, end)| file.get(start..end)).ok_or(truncated(start + size))?;
        Ok(Zboot { compression: core::str::from_utf8(name).map_err(|_| NotImage::Header)?, payload })
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec;
    use std::vec::Vec;

    use super::{Image, NotImage, Zboot};
    use crate::{Kind, mutate};

    /// An Image of 4 KiB which is a PE program too, with one section up to its end.
    fn image(flags: u64) -> Vec<u8> {
        let mut file = vec![0; 4096];
        file[..2].copy_from_slice(b"MZ");
        file[16..24].copy_from_slice(&0x20_0000_u64.to_le_bytes());
        file[24..32].copy_from_slice(&flags.to_le_bytes());
        file[56..60].copy_from_slice(b"ARM\x64");
        file[60..64].copy_from_slice(&64_u32.to_le_bytes());
        file[64..68].copy_from_slice(b"PE\0\0");
        file[70] = 1;
        file[84] = 16;
        let section = 64 + 24 + 16;
        file[section + 16..section + 20].copy_from_slice(&2048_u32.to_le_bytes());
        file[section + 20..section + 24].copy_from_slice(&2048_u32.to_le_bytes());
        file
    }

    #[test]
    fn a_header_says_where_and_how_much() {
        let parsed = Image::parse(&image(0b1010)).unwrap();
        let expected = Image {
            magic: *b"ARM\x64",
            text_offset: 0,
            memory_size: 0x20_0000,
            page_size: Some(4096),
            anywhere: true,
        };
        assert_eq!(parsed, expected);
    }

    #[test]
    fn a_kernel_for_risc_v_says_where_it_goes() {
        let mut file = image(0);
        file[56..60].copy_from_slice(b"RSC\x05");
        file[8..16].copy_from_slice(&0x20_0000_u64.to_le_bytes());
        let parsed = Image::parse(&file).unwrap();
        assert_eq!((parsed.magic, parsed.text_offset), (*b"RSC\x05", 0x20_0000));
        assert_eq!((parsed.memory_size, parsed.page_size), (0x20_0000, None));
    }

    #[test]
    fn an_old_kernel_has_no_size_and_a_fixed_offset() {
        let mut file = image(0);
        file[16..24].fill(0);
        let parsed = Image::parse(&file).unwrap();
        assert_eq!((parsed.text_offset, parsed.memory_size, parsed.anywhere), (0x8_0000, 4096, false));
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert_eq!(Image::parse(&image(1)), Err(NotImage::BigEndian));
        let error = Image::parse(&image(0)[..4000]).unwrap_err();
        assert_eq!(error.to_string(), "truncated: 4000 bytes of 4096");
        assert_eq!(Image::parse(&image(0)[..60]), Err(NotImage::Truncated { has: 60, needs: 64 }));
        assert_eq!(Image::parse(b"\x1f\x8b").unwrap_err().to_string(), "no Linux Image, but gzip file");
        assert_eq!(Image::parse(b"MZ\0\0zimg"), Err(NotImage::Other(Kind::Zboot)));
        let mut file = image(0);
        file[16..24].fill(0xff);
        assert_eq!(Image::parse(&file), Err(NotImage::Header));
    }

    #[test]
    fn a_zboot_image_is_unwrapped() {
        let mut file = vec![0; 128];
        file[..8].copy_from_slice(b"MZ\0\0zimg");
        file[8..12].copy_from_slice(&100_u32.to_le_bytes());
        file[12..16].copy_from_slice(&28_u32.to_le_bytes());
        file[24..28].copy_from_slice(b"gzip");
        file[100..].fill(7);
        let zboot = Zboot::parse(&file).unwrap();
        assert_eq!((zboot.compression, zboot.payload), ("gzip", &[7; 28][..]));
        assert_eq!(Zboot::parse(&file[..127]), Err(NotImage::Truncated { has: 127, needs: 128 }));
        assert_eq!(Zboot::parse(&file[..10]), Err(NotImage::Truncated { has: 10, needs: 64 }));
        mutate::each(&file, 20_000, |bytes| {
            let _ = Zboot::parse(bytes);
        });
    }

    #[test]
    fn damaged_headers_never_panic() {
        mutate::each(&image(0), 20_000, |bytes| {
            let _ = Image::parse(bytes);
        });
    }
}
