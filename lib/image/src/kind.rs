//! What some bytes are.

use core::fmt;

use crate::linux;

/// A format, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A Linux kernel for arm64, which can be started as it is (it may be a UEFI program as well).
    Arm64Image,
    /// The same for RISC-V.
    RiscvImage,
    /// A Linux kernel compressed within a UEFI program.
    Zboot,
    /// A UEFI program (PE) of another kind.
    Pe,
    /// An ELF file.
    Elf,
    /// U-Boot's wrapping of a kernel or script.
    UImage,
    /// A device tree blob.
    DeviceTree,
    /// A cpio archive, of the form that [`crate::cpio`] reads.
    Cpio,
    /// Compressed with gzip.
    Gzip,
    /// Compressed with xz.
    Xz,
    /// Compressed with Zstandard.
    Zstd,
    /// Compressed with LZ4.
    Lz4,
    /// Compressed with bzip2.
    Bzip2,
    /// None of the above.
    Raw,
}

impl Kind {
    /// Tells by the first 64 bytes, or what there is of them.
    pub fn detect(bytes: &[u8]) -> Kind {
        match bytes.get(56..60) {
            Some(magic) if magic == linux::ARM64_MAGIC => return Kind::Arm64Image,
            Some(magic) if magic == linux::RISCV_MAGIC => return Kind::RiscvImage,
            _ => {}
        }
        let beginnings: [(&[u8], Kind); 13] = [
            (b"\x1f\x8b", Kind::Gzip),
            (b"\x7fELF", Kind::Elf),
            (b"\x27\x05\x19\x56", Kind::UImage),
            (b"\xd0\x0d\xfe\xed", Kind::DeviceTree),
            (b"070701", Kind::Cpio),
            (b"070702", Kind::Cpio),
            (b"\xfd7zXZ\0", Kind::Xz),
            (b"\x28\xb5\x2f\xfd", Kind::Zstd),
            (b"\x02\x21\x4c\x18", Kind::Lz4),
            (b"\x04\x22\x4d\x18", Kind::Lz4),
            (b"BZh", Kind::Bzip2),
            (b"MZ\0\0zimg", Kind::Zboot),
            (b"MZ", Kind::Pe),
        ];
        let found = beginnings.into_iter().find(|(beginning, _)| bytes.starts_with(beginning));
        found.map_or(Kind::Raw, |(_, kind)| kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Arm64Image => "arm64 Linux Image",
            Kind::RiscvImage => "riscv64 Linux Image",
            Kind::Zboot => "EFI zboot image",
            Kind::Pe => "PE (UEFI) program",
            Kind::Elf => "ELF file",
            Kind::UImage => "uImage",
            Kind::DeviceTree => "device tree blob",
            Kind::Cpio => "cpio archive",
            Kind::Gzip => "gzip file",
            Kind::Xz => "xz file",
            Kind::Zstd => "zstd file",
            Kind::Lz4 => "lz4 file",
            Kind::Bzip2 => "bzip2 file",
            Kind::Raw => "raw bytes",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn formats_are_told_by_their_beginnings() {
        let mut image = [0; 64];
        assert_eq!(Kind::detect(&image), Kind::Raw);
        image[56..60].copy_from_slice(b"ARM\x64");
        assert_eq!(Kind::detect(&image), Kind::Arm64Image);
        image[..2].copy_from_slice(b"MZ");
        assert_eq!(Kind::detect(&image), Kind::Arm64Image);
        image[56..60].copy_from_slice(b"RSC\x05");
        assert_eq!(Kind::detect(&image), Kind::RiscvImage);
        assert_eq!(Kind::detect(b"MZ\0\0zimg"), Kind::Zboot);
        assert_eq!(Kind::detect(b"MZ"), Kind::Pe);
        assert_eq!(Kind::detect(b"\x1f\x8b\x08"), Kind::Gzip);
        assert_eq!(Kind::detect(b"070701"), Kind::Cpio);
        assert_eq!(Kind::detect(b""), Kind::Raw);
    }
}
