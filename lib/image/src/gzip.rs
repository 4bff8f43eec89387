//! gzip (RFC 1952): header and checksum here, the inflating (RFC 1951) by `miniz_oxide`.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use crate::{bytes_at, crc32, le32};

/// Why bytes can't be decompressed. `E` is what the receiver may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// They are no gzip file, or of a method other than "deflate".
    NotGzip,
    /// They end too early.
    Truncated,
    /// The compressed data makes no sense.
    Corrupt,
    /// The data is not what was compressed: its checksum or its length differs.
    Checksum,
    /// There would be more than this limit, in bytes.
    TooLong(u64),
    /// The receiver refused.
    Receiver(E),
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotGzip => f.write_str("not a gzip file"),
            Error::Truncated => f.write_str("truncated gzip file"),
            Error::Corrupt => f.write_str("corrupt gzip file"),
            Error::Checksum => f.write_str("corrupt gzip file (checksum)"),
            Error::TooLong(limit) => write!(f, "gzip file holds more than {limit} bytes"),
            Error::Receiver(error) => error.fmt(f),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}

/// There is no memory for the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no memory")
    }
}

impl core::error::Error for NoMemory {}

/// What the inflater looks back at, and the largest piece that the receiver gets.
const WINDOW: usize = 32 * 1024;

/// How long the result is, modulo 2^32, if the file has one member; a hint, since nothing has checked it.
pub fn length_hint(input: &[u8]) -> Option<u32> {
    le32(input, input.len().checked_sub(4)?)
}

/// Decompresses `input` and gives the result to `receive`, piece by piece. The members of a file that has
/// several follow each other; what is behind the last is not looked at. Returns the length of the result.
///
/// Needs about 45 KiB of heap meanwhile.
///
/// # Errors
/// What is wrong with the input; then the receiver has had a part, or all, already. At most `limit` bytes
/// are given to it.
pub fn inflate<E>(
    input: &[u8],
    limit: u64,
    mut receive: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<u64, Error<E>> {
    let mut window = vec![0; WINDOW];
    let mut inflater = Box::<DecompressorOxide>::default();
    let mut rest = input;
    let mut total = 0;
    loop {
        let mut member = Member { inflater: &mut inflater, window: &mut window, crc: 0, length: 0 };
        rest = member.inflate(body(rest)?, limit - total, &mut receive).map_err(|error| match error {
            Error::TooLong(_) => Error::TooLong(limit),
            other => other,
        })?;
        let (crc, length) = (le32(rest, 0).ok_or(Error::Truncated)?, le32(rest, 4).ok_or(Error::Truncated)?);
        total += member.length;
        // The length field has the lower 32 bits (2.3.1).
        if crc != member.crc || u64::from(length) != member.length & 0xffff_ffff {
            return Err(Error::Checksum);
        }
        rest = rest.get(8..).unwrap_or(&[]);
        if !rest.starts_with(&MAGIC) {
            return Ok(total);
        }
    }
}

/// Decompresses `input` into memory.
///
/// # Errors
/// What is wrong with the input; or there is no memory.
pub fn inflate_to_vec(input: &[u8], limit: u64) -> Result<Vec<u8>, Error<NoMemory>> {
    let mut output = Vec::new();
    inflate(input, limit, |piece| {
        output.try_reserve(piece.len()).map_err(|_| NoMemory)?;
        output.extend_from_slice(piece);
        Ok(())
    })?;
    Ok(output)
}

struct Member<'w> {
    inflater: &'w mut DecompressorOxide,
    window: &'w mut [u8],
    crc: u32,
    length: u64,
}

impl Member<'_> {
    /// Inflates what `input` begins with, and returns what is behind it.
    fn inflate<'i, E>(
        &mut self,
        mut input: &'i [u8],
        limit: u64,
        receive: &mut impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<&'i [u8], Error<E>> {
        self.inflater.init();
        let mut at = 0;
        loop {
            let (status, consumed, produced) = decompress(self.inflater, input, self.window, at, 0);
            input = input.get(consumed..).unwrap_or(&[]);
            let piece = self.window.get(at..at + produced).ok_or(Error::Corrupt)?;
            self.length += produced as u64;
            if self.length > limit {
                return Err(Error::TooLong(limit));
            }
            self.crc = crc32::update(self.crc, piece);
            if !piece.is_empty() {
                receive(piece).map_err(Error::Receiver)?;
            }
            at = (at + produced) % WINDOW;
            match status {
                TINFLStatus::Done => return Ok(input),
                TINFLStatus::HasMoreOutput if produced > 0 => {}
                TINFLStatus::NeedsMoreInput | TINFLStatus::FailedCannotMakeProgress => {
                    return Err(Error::Truncated);
                }
                _ => return Err(Error::Corrupt),
            }
        }
    }
}

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// What is behind a member's header (2.3).
fn body<E>(input: &[u8]) -> Result<&[u8], Error<E>> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;

    if !input.starts_with(&MAGIC) {
        return Err(Error::NotGzip);
    }
    let [_, _, method, flags, ..] = bytes_at::<10>(input, 0).ok_or(Error::Truncated)?;
    if method != 8 || flags & 0xe0 != 0 {
        return Err(Error::NotGzip);
    }
    let mut at = 10;
    if flags & EXTRA != 0 {
        at += 2 + usize::from(u16::from_le_bytes(bytes_at(input, at).ok_or(Error::Truncated)?));
    }
    for field in [NAME, COMMENT] {
        if flags & field != 0 {
            let text = input.get(at..).ok_or(Error::Truncated)?;
            at += 1 + text.iter().position(|&byte| byte == 0).ok_or(Error::Truncated)?;
        }
    }
    if flags & HEADER_CRC != 0 {
        at += 2;
    }
    input.get(at..).ok_or(Error::Truncated)
}

#[cfg(test)]
mod tests {
    use std::string::ToString;
    use std::vec::Vec;

    use super::{Error, NoMemory, inflate, inflate_to_vec, length_hint};
    use crate::mutate;

    /// `bytes` as gzip would write them, with a name.
    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut file = b"\x1f\x8b\x08\x08\0\0\0\0\x02\x03name\0".to_vec();
        file.extend(miniz_oxide::deflate::compress_to_vec(bytes, 6));
        file.extend(crate::crc32::update(0, bytes).to_le_bytes());
        file.extend((bytes.len() as u32).to_le_bytes());
        file
    }

    fn text(length: usize) -> Vec<u8> {
        (0..length).map(|i| ((i * i / 7) % 251) as u8).collect()
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for length in [0, 1, 1000, 32 * 1024, 32 * 1024 + 1, 300_000] {
            let file = gzip(&text(length));
            assert_eq!(inflate_to_vec(&file, length as u64), Ok(text(length)));
            assert_eq!(length_hint(&file), Some(length as u32));
        }
    }

    #[test]
    fn members_follow_each_other_and_padding_is_ignored() {
        let mut file = gzip(b"one ");
        file.extend(gzip(b"two"));
        file.extend([0; 10]);
        assert_eq!(inflate_to_vec(&file, 100).unwrap(), b"one two");
        assert_eq!(inflate_to_vec(&file, 6), Err(Error::TooLong(6)));
    }

    #[test]
    fn optional_header_fields_are_skipped() {
        let plain = gzip(b"x");
        let mut file = b"\x1f\x8b\x08\x1e\0\0\0\0\x02\x03\x02\0ABname\0comment\0cc".to_vec();
        file.extend(&plain[15..]);
        assert_eq!(inflate_to_vec(&file, 100).unwrap(), b"x");
    }

    #[test]
    fn what_is_wrong_is_said() {
        let file = gzip(&text(1000));
        assert_eq!(inflate_to_vec(b"", 100), Err(Error::NotGzip));
        assert_eq!(inflate_to_vec(b"\x1f\x8b", 100), Err(Error::Truncated));
        assert_eq!(inflate_to_vec(b"\x1f\x8b\x07\0\0\0\0\0\0\0", 100), Err(Error::NotGzip));
        for length in 2..file.len() {
            assert_eq!(inflate_to_vec(&file[..length], 5000), Err(Error::Truncated), "{length}");
        }
        let mut wrong = file.clone();
        *wrong.last_mut().unwrap() ^= 1;
        assert_eq!(inflate_to_vec(&wrong, 5000), Err(Error::Checksum));
        assert_eq!(
            inflate_to_vec(&wrong, 999).unwrap_err().to_string(),
            "gzip file holds more than 999 bytes"
        );
    }

    #[test]
    fn a_receiver_can_refuse() {
        let result = inflate(&gzip(&text(100_000)), u64::MAX, |_| Err(NoMemory));
        assert_eq!(result, Err(Error::Receiver(NoMemory)));
    }

    #[test]
    fn damaged_files_are_errors_never_panics() {
        let original = text(3000);
        mutate::each(&gzip(&original), 20_000, |bytes| {
            if let Ok(result) = inflate_to_vec(bytes, 10_000) {
                assert!(result == original, "the checksum tells");
            }
        });
    }
}
