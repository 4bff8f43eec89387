//! Files loaded into guests' memory and into the host's.

use alloc::format;
use alloc::string::String;
use core::fmt::Write;

use addr::{Gpa, Hpa, Span};
use arch::Width;
use host_mem::peek;
use host_vfs::Bytes;

use crate::{Args, Failed, Session, arguments, guest};

/// `vfs guest_load`.
pub(super) fn guest_load(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let name = args.text(0)?;
    let place = Place::Guest(guest::find(name)?);
    load(session, &place, args.number(1)?, &Piece::of(args, 2)?)
}

/// `vfs guest_load_list`.
pub(super) fn guest_load_list(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let place = Place::Guest(guest::find(args.text(0)?)?);
    load_list(session, &place, args.text(1)?)
}

/// `vfs host_load`.
pub(super) fn host_load(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    load(session, &Place::Host, args.number(0)?, &Piece::of(args, 1)?)
}

/// `vfs host_load_list`.
pub(super) fn host_load_list(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    load_list(session, &Place::Host, args.text(0)?)
}

/// Whose memory is loaded.
enum Place {
    Guest(guest::Handle),
    Host,
}

/// A file, or a part of one.
struct Piece<'a> {
    path: &'a str,
    bytes: Bytes,
    offset: usize,
    length: usize,
}

impl<'a> Piece<'a> {
    fn whole(path: &'a str) -> Result<Self, Failed> {
        let bytes = host_vfs::bytes(path)?;
        let length = bytes.len();
        Ok(Self { path, bytes, offset: 0, length })
    }

    /// Of the arguments file, offset and length, from `first` on.
    fn of(args: &Args<'a>, first: usize) -> Result<Self, Failed> {
        let whole = Self::whole(args.text(first)?)?;
        let offset = args.number_or(first + 1, 0)?;
        let rest = whole.length.checked_sub(offset).ok_or_else(|| {
            Failed::Because(format!(
                "<offset>: {offset} is beyond the {} bytes of {}",
                whole.length, whole.path
            ))
        })?;
        Ok(Self { offset, length: args.number_or(first + 2, rest)?.min(rest), ..whole })
    }

    fn content(&self) -> &[u8] {
        self.bytes.get(self.offset..self.offset + self.length).unwrap_or_default()
    }
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::Guest(guest) => guest.name(),
            Self::Host => "host",
        }
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), Failed> {
        let outside = |_| {
            Failed::Because(format!("{} bytes at {at:#x} are not all memory of {}", bytes.len(), self.name()))
        };
        match self {
            Self::Guest(guest) => {
                let memory = guest::memory(guest);
                memory.install(Gpa::new(at), bytes).map_err(outside)
            }
            Self::Host => {
                let span =
                    Span::<Hpa>::new(Hpa::new(at), bytes.len() as u64).filter(|span| host_mem::is_ram(*span));
                span.ok_or(host_mem::OutOfBounds).map_err(outside)?;
                write_host(Hpa::new(at), bytes).map_err(Failed::because)
            }
        }
    }
}

/// Writes RAM of the host, eight bytes at a time where they are aligned.
fn write_host(mut at: Hpa, mut bytes: &[u8]) -> Result<(), peek::PeekError> {
    while let Some((first, rest)) = bytes.split_first() {
        if at.is_aligned(8)
            && let Some((eight, rest)) = bytes.split_first_chunk()
        {
            peek::write(at, Width::B8, u64::from_le_bytes(*eight))?;
            (at, bytes) = (at.offset(8), rest);
        } else {
            peek::write(at, Width::B1, u64::from(*first))?;
            (at, bytes) = (at.offset(1), rest);
        }
    }
    Ok(())
}

fn load(session: &mut Session<'_>, place: &Place, at: u64, piece: &Piece<'_>) -> Result<(), Failed> {
    let name = place.name();
    writeln!(session, "{name}: Loading {} with file {}", Hpa::new(at), piece.path)?;
    place
        .write(at, piece.content())
        .map_err(|failed| Failed::Because(format!("{}: {failed}", piece.path)))?;
    writeln!(session, "{name}: Loaded {} with {} bytes", Hpa::new(at), piece.length)?;
    Ok(())
}

/// Loads what a list says: lines of an address and a file; a file that begins with `.` lies beside the
/// list. Two that overlap are an error, since one would destroy the other.
fn load_list(session: &mut Session<'_>, place: &Place, list: &str) -> Result<(), Failed> {
    let bytes = host_vfs::bytes(list)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| Failed::Because(format!("{list}: is not text")))?;
    writeln!(session, "{}: Parsing {list}", place.name())?;
    let mut loaded: alloc::vec::Vec<(u64, u64, String)> = alloc::vec::Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let wrong = |failed: Failed| Failed::Because(format!("{list}: line {number}: {failed}"));
        let at: u64 = arguments::number("address", address).map_err(wrong)?;
        let file = words.next().ok_or_else(|| wrong(Failed::because("<file> is missing")))?;
        let path = beside(list, file);
        let piece = Piece::whole(&path).map_err(wrong)?;
        let last = at.saturating_add((piece.length as u64).saturating_sub(1));
        let hit = loaded.iter().find(|(first, end, _)| at <= *end && *first <= last);
        if let Some((_, _, other)) = hit {
            return Err(wrong(Failed::Because(format!("{path} would overwrite {other}"))));
        }
        load(session, place, at, &piece).map_err(wrong)?;
        loaded.push((at, last, path));
    }
    Ok(())
}

/// `file`, which counts from the directory of `list` when it begins with a dot.
fn beside(list: &str, file: &str) -> String {
    let directory = list.rfind('/').and_then(|end| list.get(..end)).unwrap_or("");
    match file.strip_prefix("./") {
        Some(rest) => format!("{directory}/{rest}"),
        None if file.starts_with('.') || !file.starts_with('/') => format!("{directory}/{file}"),
        None => file.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn files_lie_beside_their_list() {
        assert_eq!(beside("/images/list", "./Image"), "/images/Image");
        assert_eq!(beside("/images/list", "../Image"), "/images/../Image");
        assert_eq!(beside("/images/list", "/other/Image"), "/other/Image");
        assert_eq!(beside("/list", "Image"), "/Image");
    }
}
