//! What EFI firmware tells a program that takes the machine over: the memory map and the command line.
//!
//! UEFI Specification 2.10: 7.2 Memory Allocation Services, 9.1 Loaded Image Protocol.

use core::fmt;

/// `EFI_PAGE_SIZE`.
const PAGE: u64 = 4096;

/// `EFI_MEMORY_WB`: it can be cached, as RAM can.
const WRITE_BACK: u64 = 1 << 3;
/// `EFI_MEMORY_SP`: meant for a special purpose.
const SPECIAL_PURPOSE: u64 = 1 << 18;

/// `EFI_MEMORY_DESCRIPTOR`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptor {
    /// `EFI_MEMORY_TYPE`.
    pub kind: u32,
    /// The physical address.
    pub start: u64,
    /// Pages of 4 KiB.
    pub pages: u64,
    /// `EFI_MEMORY_WB` and so on.
    pub attributes: u64,
}

/// What may be done with memory once boot services have been left (table 7.10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Use {
    /// It is ours.
    Free,
    /// It is RAM that the firmware keeps.
    Kept,
    /// It is not to be touched, or is no RAM.
    None,
}

impl Descriptor {
    /// What may be done with it.
    pub fn usage(&self) -> Use {
        if self.attributes & WRITE_BACK == 0 || self.attributes & SPECIAL_PURPOSE != 0 {
            return Use::None;
        }
        match self.kind {
            // Loader code and data, boot services code and data, conventional memory.
            1..=4 | 7 => Use::Free,
            // Runtime services code and data, ACPI tables and ACPI non-volatile storage.
            5 | 6 | 9 | 10 => Use::Kept,
            _ => Use::None,
        }
    }
}

/// The descriptors in the bytes of a memory map, each `stride` bytes after the one before.
pub fn descriptors(map: &[u8], stride: usize) -> impl Iterator<Item = Descriptor> + '_ {
    let word = |entry: &[u8], at: usize| Some(u64::from_le_bytes(*entry.get(at..)?.first_chunk()?));
    map.chunks_exact(stride.max(40)).filter_map(move |entry| {
        Some(Descriptor {
            kind: u32::from_le_bytes(*entry.first_chunk()?),
            start: word(entry, 8)?,
            pages: word(entry, 24)?,
            attributes: word(entry, 32)?,
        })
    })
}

/// There are more pieces than there is room for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooMany;

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the firmware's memory map has too many pieces")
    }
}

/// Ranges of addresses that do not touch one another, in order: first and one past the last.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<const N: usize> {
    pieces: [(u64, u64); N],
    count: usize,
}

impl<const N: usize> Default for Pieces<N> {
    fn default() -> Self {
        Self { pieces: [(0, 0); N], count: 0 }
    }
}

impl<const N: usize> Pieces<N> {
    /// The ranges.
    pub fn get(&self) -> &[(u64, u64)] {
        self.pieces.get(..self.count).unwrap_or_default()
    }

    /// Adds a range, which grows together with those that it touches.
    ///
    /// # Errors
    /// There is no room for another one.
    pub fn add(&mut self, mut start: u64, mut end: u64) -> Result<(), TooMany> {
        if start >= end {
            return Ok(());
        }
        // Those that it touches stand side by side.
        let first = self.get().iter().take_while(|piece| piece.1 < start).count();
        let touched = self.get().iter().skip(first).take_while(|piece| piece.0 <= end).count();
        if touched > 0 {
            let own = self.get().get(first..first + touched).unwrap_or_default();
            start = own.first().map_or(start, |piece| piece.0.min(start));
            end = own.last().map_or(end, |piece| piece.1.max(end));
            self.pieces.copy_within(first + touched..self.count, first + 1);
            self.count -= touched - 1;
        } else {
            if self.count == N {
                return Err(TooMany);
            }
            self.pieces.copy_within(first..self.count, first + 1);
            self.count += 1;
        }
        let slot = self.pieces.get_mut(first).ok_or(TooMany)?;
        *slot = (start, end);
        Ok(())
    }
}

/// The RAM of a machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All of it.
    pub banks: Pieces<24>,
    /// What of it the firmware keeps.
    pub kept: Pieces<40>,
}

impl Memory {
    /// Reads a memory map.
    ///
    /// # Errors
    /// It is in more pieces than any machine's should be.
    pub fn read(map: &[u8], stride: usize) -> Result<Self, TooMany> {
        let mut memory = Self::default();
        for descriptor in descriptors(map, stride) {
            let usage = descriptor.usage();
            let end = descriptor.pages.checked_mul(PAGE).and_then(|size| descriptor.start.checked_add(size));
            let (Some(end), true) = (end, usage != Use::None) else { continue };
            memory.banks.add(descriptor.start, end)?;
            if usage == Use::Kept {
                memory.kept.add(descriptor.start, end)?;
            }
        }
        Ok(memory)
    }
}

/// The command line in `LoadOptions`: UCS-2, little-endian, perhaps ended by NUL. Returns it as UTF-8 in
/// `buffer`, without blanks around it; `None` if it does not fit.
pub fn command_line<'b>(options: &[u8], buffer: &'b mut [u8]) -> Option<&'b str> {
    let units = options.chunks_exact(2).filter_map(|unit| Some(u16::from_le_bytes(*unit.first_chunk()?)));
    let letters = char::decode_utf16(units.take_while(|&unit| unit != 0));
    let mut length = 0;
    for letter in letters {
        let letter = letter.unwrap_or(char::REPLACEMENT_CHARACTER);
        let place = buffer.get_mut(length..length + letter.len_utf8())?;
        length += letter.encode_utf8(place).len();
    }
    core::str::from_utf8(buffer.get(..length)?).ok().map(str::trim)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn descriptor(kind: u32, start: u64, pages: u64, attributes: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&u64::from(kind).to_le_bytes());
        for word in [start, 0, pages, attributes, 0xdead] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn pieces_that_touch_grow_together_whatever_the_order() {
        // Every order of these five, from their numbers in base 5.
        let ranges = [(0, 10), (10, 20), (30, 40), (15, 32), (50, 60)];
        for order in 0..5_u32.pow(5) {
            let places: Vec<usize> = (0..5).map(|digit| (order / 5_u32.pow(digit) % 5) as usize).collect();
            let mut sorted = places.clone();
            sorted.sort_unstable();
            if sorted != [0, 1, 2, 3, 4] {
                continue;
            }
            let mut pieces = Pieces::<4>::default();
            for place in places {
                pieces.add(ranges[place].0, ranges[place].1).unwrap();
            }
            assert_eq!(pieces.get(), [(0, 40), (50, 60)]);
        }
    }

    #[test]
    fn one_piece_too_many_is_refused() {
        let mut pieces = Pieces::<2>::default();
        pieces.add(0, 1).unwrap();
        pieces.add(4, 5).unwrap();
        assert_eq!(pieces.add(2, 3), Err(TooMany));
        assert_eq!(pieces.get(), [(0, 1), (4, 5)]);
        pieces.add(1, 4).unwrap();
        assert_eq!(pieces.get(), [(0, 5)]);
        pieces.add(9, 9).unwrap();
        assert_eq!(pieces.get(), [(0, 5)]);
    }

    #[test]
    fn what_the_firmware_keeps_is_told_apart() {
        let map = [
            descriptor(7, 0x4000_0000, 0x100, 0xf),
            descriptor(6, 0x4010_0000, 0x10, 0xf | 1 << 63),
            descriptor(4, 0x4011_0000, 0xf0, 0xf),
            // Registers that runtime services use, special-purpose memory, what overflows.
            descriptor(11, 0x0900_0000, 1, 1 | 1 << 63),
            descriptor(7, 0x8000_0000, 1, 0xf | 1 << 18),
            descriptor(7, 0xffff_ffff_ffff_0000, 0x100, 0xf),
            descriptor(9, 0x4020_0000, 1, 0xf),
        ]
        .concat();
        let memory = Memory::read(&map, 48).unwrap();
        assert_eq!(memory.banks.get(), [(0x4000_0000, 0x4020_1000)]);
        assert_eq!(memory.kept.get(), [(0x4010_0000, 0x4012_0000 - 0x1_0000), (0x4020_0000, 0x4020_1000)]);
        assert_eq!(descriptors(&map[..47], 48).count(), 0);
        // A stride of zero is no reason to hang.
        assert!(Memory::read(&map, 0).is_ok());
    }

    #[test]
    fn the_command_line_becomes_utf_8() {
        let options = |text: &str| -> Vec<u8> {
            text.encode_utf16().chain([0, 0x41]).flat_map(u16::to_le_bytes).collect()
        };
        let mut buffer = [0; 32];
        assert_eq!(command_line(&options("vmm.panic=reset ü "), &mut buffer), Some("vmm.panic=reset ü"));
        assert_eq!(command_line(&[], &mut buffer), Some(""));
        // Half a pair, and a byte too many.
        assert_eq!(command_line(&[0x41, 0, 0x00, 0xd8, 0x42, 0, 0x43], &mut buffer), Some("A\u{fffd}B"));
        assert_eq!(command_line(&options(&"x".repeat(33)), &mut buffer), None);
    }
}
