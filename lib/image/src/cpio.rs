//! cpio archives in the form that Linux takes as its initial RAM disk (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst): `newc`, with or without checksums.

use core::fmt;

/// A file, directory or other thing in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The path, as it is written: perhaps with `/` or `./` before it.
    pub name: &'a str,
    /// Kind and permissions, as in POSIX `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970.
    pub modified: u32,
    /// The content of a file, the target of a symbolic link. (Of several links to one file only the
    /// last has the content.)
    pub data: &'a [u8],
}

/// What an [`Entry`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Special,
}

impl Entry<'_> {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        match self.mode & 0o170_000 {
            0o040_000 => FileKind::Directory,
            0o100_000 => FileKind::Regular,
            0o120_000 => FileKind::Symlink,
            _ => FileKind::Special,
        }
    }
}

/// What is wrong with an archive, and at which offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where the entry begins.
    pub offset: usize,
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpio archive at {:#x}: {}", self.offset, self.what)
    }
}

impl core::error::Error for Error {}

const HEADER_SIZE: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!";

/// The entries of an archive, or of several which follow each other with zeros between.
///
/// After an error about one entry's name or checksum the next entry follows; any other error is the last.
pub fn entries(archive: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, Error>> {
    let mut reader = Reader { archive, at: 0, ended: archive.is_empty() };
    core::iter::from_fn(move || reader.next())
}

struct Reader<'a> {
    archive: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Result<Entry<'a>, Error>> {
        while !self.ended {
            let offset = self.at;
            match self.entry() {
                Ok((TRAILER, _)) => self.skip_zeros(),
                Ok((name, entry)) => {
                    let named = core::str::from_utf8(name).map(|name| Entry { name, ..entry });
                    return Some(named.map_err(|_| Error { offset, what: "the name is not UTF-8" }));
                }
                Err(Bad::This(what)) => return Some(Err(Error { offset, what })),
                Err(Bad::All(what)) => {
                    self.ended = true;
                    return Some(Err(Error { offset, what }));
                }
            }
        }
        None
    }

    /// Behind a trailer: to the next archive, or to the end.
    fn skip_zeros(&mut self) {
        let rest = self.archive.get(self.at..).unwrap_or(&[]);
        match rest.iter().position(|&byte| byte != 0) {
            Some(zeros) if rest.get(zeros..).is_some_and(|rest| rest.starts_with(b"07070")) => {
                self.at += zeros
            }
            _ => self.ended = true,
        }
    }

    /// Reads the entry which begins here, and goes behind it. The entry has no name yet.
    fn entry(&mut self) -> Result<(&'a [u8], Entry<'a>), Bad> {
        const TRUNCATED: Bad = Bad::All("truncated");
        let rest = self.archive.get(self.at..).unwrap_or(&[]);
        let (header, _) = rest.split_at_checked(HEADER_SIZE).ok_or(TRUNCATED)?;
        let with_sum = match header.get(..6) {
            Some(b"070701") => false,
            Some(b"070702") => true,
            _ => return Err(Bad::All("no header")),
        };
        let field = |index: usize| {
            let digits = header.get(6 + index * 8..14 + index * 8).unwrap_or(&[]);
            hexadecimal(digits).ok_or(Bad::All("a number is not hexadecimal"))
        };
        let length = |index| Ok(usize::try_from(field(index)?).unwrap_or(usize::MAX));
        let piece = |start: usize, size: usize| {
            let end = start.checked_add(size).ok_or(TRUNCATED)?;
            rest.get(start..end).map(|piece| (piece, end.next_multiple_of(4))).ok_or(TRUNCATED)
        };
        let (name, data_start) = piece(HEADER_SIZE, length(11)?)?;
        let (data, end) = piece(data_start, length(6)?)?;
        let entry =
            Entry { name: "", mode: field(1)?, uid: field(2)?, gid: field(3)?, modified: field(5)?, data };
        // Padding is to a multiple of four, and so is every entry's start.
        self.at += end;
        let name = name.strip_suffix(&[0]).ok_or(Bad::This("the name has no end"))?;
        if name.is_empty() || name.contains(&0) {
            return Err(Bad::This("the name is empty, or has a NUL"));
        }
        let sum = || data.iter().fold(0_u32, |sum, &byte| sum.wrapping_add(u32::from(byte)));
        if with_sum && name != TRAILER && field(12)? != sum() {
            return Err(Bad::This("the checksum is wrong"));
        }
        Ok((name, entry))
    }
}

/// What is wrong: with this entry, or so that no other can be found.
enum Bad {
    This(&'static str),
    All(&'static str),
}

fn hexadecimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |number, &digit| Some(number << 4 | char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;
    use std::vec::Vec;

    use super::{Entry, Error, FileKind, entries};
    use crate::mutate;

    fn add(archive: &mut Vec<u8>, name: &str, mode: u32, data: &[u8]) {
        let sum: u32 = data.iter().map(|&byte| u32::from(byte)).sum();
        let fields = [1, mode, 2, 3, 1, 0x600, data.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, sum];
        archive.extend(b"070702");
        fields.iter().for_each(|field| archive.extend(format!("{field:08X}").bytes()));
        archive.extend(name.bytes().chain([0]));
        archive.resize(archive.len().next_multiple_of(4), 0);
        archive.extend(data);
        archive.resize(archive.len().next_multiple_of(4), 0);
    }

    fn archive() -> Vec<u8> {
        let mut archive = Vec::new();
        add(&mut archive, ".", 0o040_755, b"");
        add(&mut archive, "boot.xscript", 0o100_644, b"guest create guest0\n");
        add(&mut archive, "dir/link", 0o120_777, b"../boot.xscript");
        add(&mut archive, "TRAILER!!!", 0, b"");
        archive.resize(archive.len().next_multiple_of(512), 0);
        archive
    }

    #[test]
    fn entries_come_in_order() {
        let file = archive();
        let all: Vec<Entry<'_>> = entries(&file).map(Result::unwrap).collect();
        assert_eq!(all.iter().map(|entry| entry.name).collect::<Vec<_>>(), [".", "boot.xscript", "dir/link"]);
        assert_eq!(all[1].data, b"guest create guest0\n");
        assert_eq!((all[1].uid, all[1].gid, all[1].modified, all[1].mode), (2, 3, 0x600, 0o100_644));
        let kinds: Vec<_> = all.iter().map(Entry::kind).collect();
        assert_eq!(kinds, [FileKind::Directory, FileKind::Regular, FileKind::Symlink]);
        assert_eq!(entries(&[]).count(), 0);
    }

    #[test]
    fn archives_may_follow_each_other() {
        let mut file = archive();
        file.extend(archive());
        assert_eq!(entries(&file).count(), 6);
        file.extend(b"something else");
        assert_eq!(entries(&file).filter_map(Result::ok).count(), 6);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let last = |file: &[u8]| entries(file).last().unwrap().unwrap_err().to_string();
        assert_eq!(last(&archive()[..200]), "cpio archive at 0x70: truncated");
        assert_eq!(last(b"hello"), "cpio archive at 0x0: truncated");
        assert_eq!(last(&[b'x'; 200]), "cpio archive at 0x0: no header");
        let mut file = archive();
        file[14] = b'+';
        assert_eq!(last(&file), "cpio archive at 0x0: a number is not hexadecimal");
        let mut file = archive();
        file[94..102].copy_from_slice(b"FFFFFFFF");
        assert_eq!(last(&file), "cpio archive at 0x0: truncated");
    }

    #[test]
    fn one_bad_entry_does_not_hide_the_next() {
        let mut file = archive();
        let at = file.windows(5).position(|window| window == b"guest").unwrap();
        file[at] = b'G';
        let results: Vec<_> = entries(&file).collect();
        assert_eq!(results.len(), 3);
        assert_eq!(results[1], Err(Error { offset: 0x70, what: "the checksum is wrong" }));
    }

    #[test]
    fn damaged_archives_never_panic_and_end() {
        mutate::each(&archive(), 50_000, |bytes| {
            assert!(entries(bytes).take(1000).count() < 1000);
        });
    }
}
