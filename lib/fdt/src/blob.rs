//! The flattened format (chapter 5): the header, the table of reserved memory, and the stream of tokens.

use core::fmt;

use crate::Region;

/// Bytes of a blob's header, version 17 (5.2).
pub const HEADER_SIZE: usize = 40;

/// How deep nodes may lie in one another; the root has depth 0.
pub const MAX_DEPTH: usize = 64;

/// The largest structure block and the largest strings block that are read, in bytes.
pub const MAX_SIZE: usize = 1 << 20;

/// The longest name of a node or property, in bytes. The specification says 31; trees in the field say more.
pub(crate) const MAX_NAME: usize = 127;

pub(crate) const MAGIC: u32 = 0xd00d_feed;
pub(crate) const VERSION: u32 = 17;
pub(crate) const LAST_COMPATIBLE_VERSION: u32 = 16;
pub(crate) const BEGIN_NODE: u32 = 1;
pub(crate) const END_NODE: u32 = 2;
pub(crate) const PROP: u32 = 3;
pub(crate) const NOP: u32 = 4;
pub(crate) const END: u32 = 9;

/// Why some bytes are no device tree blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It does not begin with the magic number.
    Magic,
    /// Its version is older than 16, or can't be read as version 17 (the value is the blob's version).
    Version(u32),
    /// The blob says that it is longer than what there is of it.
    Truncated,
    /// A block, or a thing in it, lies outside of the blob. The value is its offset in the blob.
    OutOfBounds(usize),
    /// No token where one has to be, at this offset of the structure block.
    Token(usize),
    /// A name that is too long, or not made of the characters that names are made of, at this offset.
    Name(usize),
    /// A node or a block is larger or deeper than this reader accepts.
    TooBig,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Malformed::Magic => f.write_str("not a device tree blob (wrong magic number)"),
            Malformed::Version(version) => write!(f, "device tree blob of version {version}, 17 is known"),
            Malformed::Truncated => f.write_str("truncated device tree blob"),
            Malformed::OutOfBounds(at) => write!(f, "device tree blob points outside of itself at {at:#x}"),
            Malformed::Token(at) => write!(f, "device tree blob has no valid token at {at:#x}"),
            Malformed::Name(at) => write!(f, "device tree blob has an invalid name at {at:#x}"),
            Malformed::TooBig => f.write_str("device tree blob is too large or too deep"),
        }
    }
}

/// The 32-bit big-endian number at `offset` of `bytes`.
pub(crate) fn be32(bytes: &[u8], offset: usize) -> Option<u32> {
    let (word, _) = bytes.get(offset..)?.split_first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}

fn be64(bytes: &[u8], offset: usize) -> Option<u64> {
    let (word, _) = bytes.get(offset..)?.split_first_chunk::<8>()?;
    Some(u64::from_be_bytes(*word))
}

/// A number of the blob as an index. (Sizes have 32 bits; so has the smallest host.)
fn index(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

/// How many bytes the blob has which begins with `header`.
///
/// For whoever has only an address, and must know how much to look at.
///
/// # Errors
/// [`Malformed::Magic`] if this is no blob; [`Malformed::Truncated`] if `header` has less than 8 bytes.
pub fn total_size(header: &[u8]) -> Result<usize, Malformed> {
    let magic = be32(header, 0).ok_or(Malformed::Truncated)?;
    if magic != MAGIC {
        return Err(Malformed::Magic);
    }
    be32(header, 4).map(index).ok_or(Malformed::Truncated)
}

/// A blob whose header has been checked: the blocks lie inside of it.
#[derive(Clone, Copy)]
pub(crate) struct Blob<'a> {
    pub(crate) structure: &'a [u8],
    pub(crate) strings: &'a [u8],
    reservations: &'a [u8],
    pub(crate) boot_cpu: u32,
    pub(crate) total: usize,
}

impl<'a> Blob<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let total = total_size(bytes)?;
        let bytes = bytes.get(..total).ok_or(Malformed::Truncated)?;
        if total < HEADER_SIZE {
            return Err(Malformed::Truncated);
        }
        let field = |offset| be32(bytes, offset).ok_or(Malformed::Truncated);
        let version = field(20)?;
        if version < VERSION || field(24)? > VERSION {
            return Err(Malformed::Version(version));
        }
        let block = |offset: u32, size: u32| {
            let (offset, size) = (index(offset), index(size));
            if size > MAX_SIZE {
                return Err(Malformed::TooBig);
            }
            let end = offset.checked_add(size).ok_or(Malformed::OutOfBounds(offset))?;
            bytes.get(offset..end).ok_or(Malformed::OutOfBounds(offset))
        };
        let reservations = index(field(16)?);
        Ok(Blob {
            structure: block(field(8)?, field(36)?)?,
            strings: block(field(12)?, field(32)?)?,
            reservations: bytes.get(reservations..).ok_or(Malformed::OutOfBounds(reservations))?,
            boot_cpu: field(28)?,
            total,
        })
    }

    /// The table of reserved memory (5.3), up to its empty last entry or the end of the blob.
    pub(crate) fn reservations(self) -> impl Iterator<Item = Region> + 'a {
        let mut offset = 0;
        core::iter::from_fn(move || {
            let start = be64(self.reservations, offset)?;
            let size = be64(self.reservations, offset + 8)?;
            offset += 16;
            (size != 0).then_some(Region { start, size })
        })
    }

    /// The name of a property, given where it begins.
    pub(crate) fn property_name(self, offset: usize) -> Result<&'a str, Malformed> {
        name_at(self.strings, offset).filter(|name| !name.is_empty()).ok_or(Malformed::Name(offset))
    }

    /// Whether the name at `offset` is `name`.
    pub(crate) fn is_property_name(self, offset: usize, name: &str) -> bool {
        let rest = self.strings.get(offset..).and_then(|rest| rest.strip_prefix(name.as_bytes()));
        rest.is_some_and(|rest| rest.first() == Some(&0))
    }

    pub(crate) fn tokens(self) -> Tokens<'a> {
        Tokens { blob: self, offset: 0 }
    }
}

/// One thing in the structure block (5.4).
#[derive(Clone, Copy)]
pub(crate) enum Token<'a> {
    Begin {
        name: &'a str,
    },
    /// `name` is where the name begins in the strings block; most are passed over unread.
    Property {
        name: usize,
        value: &'a [u8],
    },
    EndNode,
    End,
}

/// Reads the structure block from front to back.
#[derive(Clone, Copy)]
pub(crate) struct Tokens<'a> {
    pub(crate) blob: Blob<'a>,
    /// Where the next token is in the structure block.
    pub(crate) offset: usize,
}

impl<'a> Tokens<'a> {
    /// The next token; after [`Token::End`] there is none to ask for.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, Malformed> {
        let structure = self.blob.structure;
        loop {
            let at = self.offset;
            let token = be32(structure, at).ok_or(Malformed::Token(at))?;
            let body = at + 4;
            self.offset = body;
            match token {
                NOP => {}
                BEGIN_NODE => {
                    let name = name_at(structure, body).ok_or(Malformed::Name(body))?;
                    self.offset = aligned(body + name.len() + 1);
                    return Ok(Token::Begin { name });
                }
                END_NODE => return Ok(Token::EndNode),
                PROP => {
                    let length = be32(structure, body).map(index).ok_or(Malformed::OutOfBounds(body))?;
                    let name = be32(structure, body + 4).map(index).ok_or(Malformed::OutOfBounds(body))?;
                    let start = body + 8;
                    let end = start.checked_add(length).ok_or(Malformed::OutOfBounds(start))?;
                    let value = structure.get(start..end).ok_or(Malformed::OutOfBounds(start))?;
                    self.offset = aligned(end);
                    return Ok(Token::Property { name, value });
                }
                END => return Ok(Token::End),
                _ => return Err(Malformed::Token(at)),
            }
        }
    }
}

/// Tokens begin at multiples of four.
fn aligned(offset: usize) -> usize {
    offset.next_multiple_of(4)
}

/// Whether `byte` may stand in a name: what 2.2.1 says, and all else that is printable but the slash.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'/'
}

/// The name which begins at `offset` and ends with a NUL.
fn name_at(block: &[u8], offset: usize) -> Option<&str> {
    let rest = block.get(offset..)?;
    let length = rest.iter().take(MAX_NAME + 1).position(|&byte| !is_name_byte(byte))?;
    if rest.get(length) != Some(&0) {
        return None;
    }
    core::str::from_utf8(rest.get(..length)?).ok()
}
