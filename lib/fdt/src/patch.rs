//! A blob copied with changes, before there is a heap: what a boot loader's way of handing things over has
//! beside the tree is written into the tree.

use core::fmt;
use core::ops::Range;

use crate::blob::{
    BEGIN_NODE, Blob, END, END_NODE, HEADER_SIZE, LAST_COMPATIBLE_VERSION, MAGIC, PROP, Token, VERSION, be32,
};
use crate::{MAX_DEPTH, Malformed, Region};

/// What is changed on the way. What is left empty stays as it is in the blob.
#[derive(Clone, Debug, Default)]
pub struct Patch<'a> {
    /// The RAM: replaces all memory nodes of the blob.
    pub memory: &'a [Region],
    /// Goes to the table of reserved memory, behind what the blob has there.
    pub reserved: &'a [Region],
    /// The command line in `/chosen`.
    pub bootargs: Option<&'a str>,
    /// The initial RAM disk in `/chosen`.
    pub initrd: Option<Range<u64>>,
}

/// Why a blob could not be copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchError {
    /// The blob itself.
    Malformed(Malformed),
    /// There is more than the buffer holds.
    NoRoom,
    /// An address or size needs more cells than the root node has.
    Cells(u64),
}

impl fmt::Display for PatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PatchError::Malformed(why) => write!(f, "{why}"),
            PatchError::NoRoom => f.write_str("the device tree does not fit into its new place"),
            PatchError::Cells(number) => {
                write!(f, "memory at {number:#x} needs more cells than the tree has")
            }
        }
    }
}

impl core::error::Error for PatchError {}

impl From<Malformed> for PatchError {
    fn from(why: Malformed) -> Self {
        PatchError::Malformed(why)
    }
}

/// The names of the properties that are written, each ended by NUL.
const NAMES: &[u8] = b"device_type\0reg\0bootargs\0linux,initrd-start\0linux,initrd-end\0";

/// Where in [`NAMES`] each begins.
mod name {
    pub(super) const DEVICE_TYPE: usize = 0;
    pub(super) const REG: usize = 12;
    pub(super) const BOOTARGS: usize = 16;
    pub(super) const INITRD_START: usize = 25;
    pub(super) const INITRD_END: usize = 44;
}

impl Patch<'_> {
    /// Copies `blob` to the beginning of `to`, changed; returns how many bytes of it are used.
    ///
    /// # Errors
    /// As [`PatchError`] says; `to` holds no tree then.
    pub fn copy(&self, blob: &[u8], to: &mut [u8]) -> Result<usize, PatchError> {
        let blob = Blob::new(blob)?;
        let mut out = Out { to, at: 0 };
        out.bytes(&[0; HEADER_SIZE])?;
        let reservations = out.at;
        for region in blob.reservations().chain(self.reserved.iter().copied()) {
            out.bytes(&region.start.to_be_bytes())?;
            out.bytes(&region.size.to_be_bytes())?;
        }
        out.bytes(&[0; 16])?;
        let structure = out.at;
        self.copy_nodes(blob, &mut out)?;
        let strings = out.at;
        out.bytes(blob.strings)?;
        out.bytes(NAMES)?;
        let end = out.at;

        out.at = 0;
        out.word(MAGIC)?;
        for number in [end, structure, strings, reservations] {
            out.index(number)?;
        }
        out.word(VERSION)?;
        out.word(LAST_COMPATIBLE_VERSION)?;
        out.word(blob.boot_cpu)?;
        out.index(end - strings)?;
        out.index(strings - structure)?;
        Ok(end)
    }

    fn copy_nodes(&self, blob: Blob<'_>, out: &mut Out<'_>) -> Result<(), PatchError> {
        let mut tokens = blob.tokens();
        let mut depth = 0_usize;
        // Of the root, which are the memory nodes' too.
        let mut cells = (2_u32, 1_u32);
        // The depth of the node that is being left out.
        let mut leave_out = None;
        let mut inside_chosen = false;
        let mut chosen_seen = false;
        loop {
            match tokens.next()? {
                Token::Begin { name } => {
                    if depth > MAX_DEPTH {
                        return Err(Malformed::TooBig.into());
                    }
                    let is_replaced = depth == 1 && !self.memory.is_empty() && is_memory(blob, tokens);
                    if leave_out.is_none() && is_replaced {
                        leave_out = Some(depth);
                    }
                    inside_chosen = depth == 1 && name == "chosen";
                    depth += 1;
                    if leave_out.is_none() {
                        out.begin(name)?;
                        if inside_chosen && !chosen_seen {
                            chosen_seen = true;
                            self.write_chosen(blob, out)?;
                        }
                    }
                }
                Token::Property { name, value } => {
                    if depth == 1 {
                        for (count, wanted) in
                            [(&mut cells.0, "#address-cells"), (&mut cells.1, "#size-cells")]
                        {
                            if blob.is_property_name(name, wanted) {
                                *count = be32(value, 0).unwrap_or(*count);
                            }
                        }
                    }
                    let replaced = inside_chosen && self.replaces(blob, name);
                    if leave_out.is_none() && !replaced {
                        out.property(name, value)?;
                    }
                }
                Token::EndNode => {
                    depth = depth.checked_sub(1).ok_or(Malformed::Token(tokens.offset))?;
                    inside_chosen = false;
                    if depth == 0 {
                        self.write_rest(blob, cells, chosen_seen, out)?;
                    }
                    match leave_out {
                        Some(begun) if begun == depth => leave_out = None,
                        Some(_) => {}
                        None => out.word(END_NODE)?,
                    }
                }
                Token::End if depth == 0 => return out.word(END),
                Token::End => return Err(Malformed::Token(tokens.offset).into()),
            }
        }
    }

    /// Whether the property of `/chosen` is one of those that are written anew.
    fn replaces(&self, blob: Blob<'_>, name: usize) -> bool {
        let is = |wanted: &str| blob.is_property_name(name, wanted);
        (self.bootargs.is_some() && is("bootargs"))
            || (self.initrd.is_some() && (is("linux,initrd-start") || is("linux,initrd-end")))
    }

    fn write_chosen(&self, blob: Blob<'_>, out: &mut Out<'_>) -> Result<(), PatchError> {
        let names = blob.strings.len();
        if let Some(text) = self.bootargs {
            out.text(names + name::BOOTARGS, text)?;
        }
        if let Some(initrd) = &self.initrd {
            out.property(names + name::INITRD_START, &initrd.start.to_be_bytes())?;
            out.property(names + name::INITRD_END, &initrd.end.to_be_bytes())?;
        }
        Ok(())
    }

    /// What comes last in the root: the memory, and `/chosen` if there was none.
    fn write_rest(
        &self,
        blob: Blob<'_>,
        cells: (u32, u32),
        chosen_seen: bool,
        out: &mut Out<'_>,
    ) -> Result<(), PatchError> {
        let names = blob.strings.len();
        if !chosen_seen && (self.bootargs.is_some() || self.initrd.is_some()) {
            out.begin("chosen")?;
            self.write_chosen(blob, out)?;
            out.word(END_NODE)?;
        }
        for region in self.memory {
            out.begin_at("memory", region.start)?;
            out.text(names + name::DEVICE_TYPE, "memory")?;
            out.word(PROP)?;
            out.word((cells.0.saturating_add(cells.1)).saturating_mul(4))?;
            out.index(names + name::REG)?;
            out.cells(cells.0, region.start, region.start)?;
            out.cells(cells.1, region.size, region.start)?;
            out.word(END_NODE)?;
        }
        Ok(())
    }
}

/// Whether the node whose properties come next describes RAM.
fn is_memory(blob: Blob<'_>, mut tokens: crate::blob::Tokens<'_>) -> bool {
    while let Ok(Token::Property { name, value }) = tokens.next() {
        if blob.is_property_name(name, "device_type") {
            return value == b"memory\0";
        }
    }
    false
}

/// The buffer, and how much of it is written.
struct Out<'a> {
    to: &'a mut [u8],
    at: usize,
}

impl Out<'_> {
    fn bytes(&mut self, bytes: &[u8]) -> Result<(), PatchError> {
        let end = self.at.checked_add(bytes.len()).ok_or(PatchError::NoRoom)?;
        self.to.get_mut(self.at..end).ok_or(PatchError::NoRoom)?.copy_from_slice(bytes);
        self.at = end;
        Ok(())
    }

    fn word(&mut self, word: u32) -> Result<(), PatchError> {
        self.bytes(&word.to_be_bytes())
    }

    fn index(&mut self, index: usize) -> Result<(), PatchError> {
        self.word(u32::try_from(index).map_err(|_| PatchError::NoRoom)?)
    }

    fn align(&mut self) -> Result<(), PatchError> {
        let padding = self.at.next_multiple_of(4) - self.at;
        self.bytes([0; 4].get(..padding).unwrap_or_default())
    }

    fn begin(&mut self, name: &str) -> Result<(), PatchError> {
        self.word(BEGIN_NODE)?;
        self.bytes(name.as_bytes())?;
        self.bytes(&[0])?;
        self.align()
    }

    /// Begins `name@address`.
    fn begin_at(&mut self, name: &str, address: u64) -> Result<(), PatchError> {
        self.word(BEGIN_NODE)?;
        self.bytes(name.as_bytes())?;
        self.bytes(b"@")?;
        let digits = (64 - address.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let digit = char::from_digit((address >> (digit * 4) & 0xf) as u32, 16).unwrap_or('0');
            self.bytes(digit.encode_utf8(&mut [0; 4]).as_bytes())?;
        }
        self.bytes(&[0])?;
        self.align()
    }

    fn property(&mut self, name: usize, value: &[u8]) -> Result<(), PatchError> {
        self.word(PROP)?;
        self.index(value.len())?;
        self.index(name)?;
        self.bytes(value)?;
        self.align()
    }

    fn text(&mut self, name: usize, text: &str) -> Result<(), PatchError> {
        self.word(PROP)?;
        self.index(text.len().saturating_add(1))?;
        self.index(name)?;
        self.bytes(text.as_bytes())?;
        self.bytes(&[0])?;
        self.align()
    }

    /// `number` in `count` cells; `start` is the region that it belongs to.
    fn cells(&mut self, count: u32, number: u64, start: u64) -> Result<(), PatchError> {
        let needed = if number > u64::from(u32::MAX) { 2 } else { u32::from(number != 0) };
        if count < needed || count > 4 {
            return Err(PatchError::Cells(start));
        }
        for cell in (0..count).rev() {
            let word = if cell < 2 { number >> (cell * 32) & u64::from(u32::MAX) } else { 0 };
            self.word(u32::try_from(word).unwrap_or_default())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString as _;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::{Early, Tree};

    fn region(start: u64, size: u64) -> Region {
        Region { start, size }
    }

    fn copy(patch: &Patch<'_>, blob: &[u8]) -> Result<Vec<u8>, PatchError> {
        let mut to = vec![0xaa; blob.len() + 1024];
        let length = patch.copy(blob, &mut to)?;
        to.truncate(length);
        Ok(to)
    }

    /// A board with its memory in the middle, and a `/chosen` that may be left out.
    fn board(with_chosen: bool) -> Tree {
        let mut tree = Tree::new();
        let root = tree.root().id();
        tree.set(root, "#address-cells", 2_u32).unwrap();
        tree.set(root, "#size-cells", 2_u32).unwrap();
        if with_chosen {
            let chosen = tree.add_path("/chosen").unwrap();
            tree.set(chosen, "bootargs", "old").unwrap();
            tree.set(chosen, "stdout-path", "/uart@1000").unwrap();
        }
        let memory = tree.add_path("/memory@40000000").unwrap();
        tree.set(memory, "device_type", "memory").unwrap();
        tree.set(memory, "reg", [0x4000_0000_u64, 0x1000_0000].as_slice()).unwrap();
        let uart = tree.add_path("/uart@1000").unwrap();
        tree.set(uart, "reg", [0x1000_u64, 0x1000].as_slice()).unwrap();
        tree
    }

    #[test]
    fn the_numbers_of_the_names_are_right() {
        let names = [
            (name::DEVICE_TYPE, "device_type"),
            (name::REG, "reg"),
            (name::BOOTARGS, "bootargs"),
            (name::INITRD_START, "linux,initrd-start"),
            (name::INITRD_END, "linux,initrd-end"),
        ];
        for (at, name) in names {
            assert!(NAMES[at..].starts_with(name.as_bytes()) && NAMES[at + name.len()] == 0, "{name}");
        }
    }

    #[test]
    fn nothing_is_changed_that_is_not_named() {
        let tree = board(true);
        let copied = copy(&Patch::default(), &tree.to_blob()).unwrap();
        let [before, after] = [tree, Tree::from_blob(&copied).unwrap()].map(|tree| {
            let mut text = std::string::String::new();
            tree.print(&mut text).unwrap();
            text
        });
        assert_eq!(before, after);
    }

    #[test]
    fn memory_command_line_and_initrd_are_replaced() {
        let memory = [region(0x4000_0000, 0x7000_0000), region(0x8_0000_0000, 0x4000_0000)];
        let reserved = [region(0x4100_0000, 0x1000), region(0x4200_0000, 0x2000)];
        let initrd = Some(0x4800_0000..0x4800_1234);
        let patch = Patch { memory: &memory, reserved: &reserved, bootargs: Some("new words"), initrd };
        for with_chosen in [true, false] {
            let copied = copy(&patch, &board(with_chosen).to_blob()).unwrap();
            let early = Early::new(&copied).unwrap();
            assert_eq!(early.memory().collect::<Vec<_>>(), memory);
            assert_eq!(early.reserved().collect::<Vec<_>>(), reserved);
            assert_eq!(early.chosen().bootargs, Some("new words"));
            assert_eq!(early.chosen().initrd, Some(0x4800_0000..0x4800_1234));
            assert_eq!(early.chosen().stdout.is_some(), with_chosen);
            let tree = Tree::from_blob(&copied).unwrap();
            assert_eq!(tree.memory().unwrap(), memory);
            assert_eq!(tree.bootargs().unwrap(), Some("new words"));
            assert!(tree.find("/memory@800000000").is_some() && tree.find("/uart@1000").is_some());
            // A second time finds what the first wrote.
            assert_eq!(Early::new(&copy(&patch, &copied).unwrap()).unwrap().memory().count(), 2);
        }
    }

    #[test]
    fn an_address_that_the_root_s_cells_cannot_hold_is_refused() {
        let mut tree = board(true);
        let root = tree.root().id();
        tree.set(root, "#address-cells", 1_u32).unwrap();
        let memory = [region(0x8_0000_0000, 0x1000)];
        let error = copy(&Patch { memory: &memory, ..Patch::default() }, &tree.to_blob()).unwrap_err();
        assert_eq!(error, PatchError::Cells(0x8_0000_0000));
        assert!(error.to_string().contains("0x800000000"));
    }

    #[test]
    fn a_buffer_of_any_size_is_filled_or_refused() {
        let blob = board(true).to_blob();
        let memory = [region(0x4000_0000, 0x1000)];
        let patch = Patch { memory: &memory, bootargs: Some("x"), ..Patch::default() };
        let needed = copy(&patch, &blob).unwrap().len();
        for size in 0..needed {
            assert_eq!(patch.copy(&blob, &mut vec![0; size]), Err(PatchError::NoRoom), "{size}");
        }
        assert_eq!(patch.copy(&blob, &mut vec![0; needed]), Ok(needed));
    }

    #[test]
    fn damaged_blobs_are_copied_or_refused() {
        let blob = board(true).to_blob();
        let memory = [region(0x4000_0000, 0x1000)];
        let patch = Patch { memory: &memory, bootargs: Some("x"), initrd: Some(1..2), ..Patch::default() };
        for at in 0..blob.len() {
            for bit in 0..8 {
                let mut damaged = blob.clone();
                damaged[at] ^= 1 << bit;
                if let Ok(copied) = copy(&patch, &damaged) {
                    let early = Early::new(&copied).unwrap();
                    let _ = (early.memory().count(), early.chosen());
                }
            }
            let _ = copy(&patch, &blob[..at]);
        }
    }
}
