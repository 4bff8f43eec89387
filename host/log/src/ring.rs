//! The lines that were said last.

use arch::Nanos;

use crate::held::Held;
use crate::level::Tag;
use crate::line::LINE;

/// Bytes that the ring holds; some 800 lines.
const SIZE: usize = 64 * 1024;
/// Before each text: its time (8 bytes), its tag (1), its length (2).
const HEADER: usize = 11;

/// Records one after the other, the oldest overwritten by the newest. Positions count all bytes that
/// were ever written, so that a reader who was overtaken notices.
pub(crate) struct Ring {
    bytes: [u8; SIZE],
    /// Where the next record goes.
    end: u64,
    /// Where the oldest record lies.
    start: u64,
    /// Records between the two.
    count: usize,
    /// Who shows what is said instead of the sink: under the ring's lock, so that no line is shown twice or
    /// never when he comes and goes.
    pub(crate) held: Option<Held>,
}

/// A record, copied out of the ring.
pub(crate) struct Record {
    pub(crate) at: Nanos,
    pub(crate) tag: Tag,
    bytes: [u8; LINE],
    length: usize,
}

impl Default for Record {
    fn default() -> Self {
        Self { at: Nanos(0), tag: Tag::Init, bytes: [0; LINE], length: 0 }
    }
}

impl Record {
    /// The text, without prefix and newline.
    pub(crate) fn text(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.length).unwrap_or_default()).unwrap_or("(not text)")
    }
}

impl Ring {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; SIZE], end: 0, start: 0, count: 0, held: None }
    }

    /// The position of the oldest record.
    pub(crate) fn oldest(&self) -> u64 {
        self.start
    }

    /// The position of the record that is said next.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How many records there are.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Adds a record, in place of as many old ones as its room takes.
    pub(crate) fn push(&mut self, at: Nanos, tag: Tag, text: &str) {
        let text = text.as_bytes();
        let text = text.get(..LINE).unwrap_or(text);
        let whole = HEADER + text.len();
        while self.end - self.start > (SIZE - whole) as u64 {
            self.start += self.length_at(self.start);
            self.count -= 1;
        }
        let mut header = [0; HEADER];
        header[..8].copy_from_slice(&at.0.to_le_bytes());
        header[8] = tag.to_byte();
        header[9..].copy_from_slice(&(text.len() as u16).to_le_bytes());
        self.put(self.end, &header);
        self.put(self.end + HEADER as u64, text);
        self.end += whole as u64;
        self.count += 1;
    }

    /// Copies the record at `position`, or the oldest one when that was overwritten; says where the
    /// next one lies. `None` when there is none.
    pub(crate) fn read(&self, position: u64, record: &mut Record) -> Option<u64> {
        let position = position.max(self.start);
        if position >= self.end {
            return None;
        }
        let mut header = [0; HEADER];
        self.get(position, &mut header);
        let [t0, t1, t2, t3, t4, t5, t6, t7, tag, l0, l1] = header;
        record.at = Nanos(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]));
        record.tag = Tag::from_byte(tag);
        record.length = usize::from(u16::from_le_bytes([l0, l1])).min(LINE);
        self.get(position + HEADER as u64, record.bytes.get_mut(..record.length)?);
        Some(position + (HEADER + record.length) as u64)
    }

    fn length_at(&self, position: u64) -> u64 {
        let mut length = [0; 2];
        self.get(position + 9, &mut length);
        HEADER as u64 + u64::from(u16::from_le_bytes(length))
    }

    /// Writes at a position; what passes the buffer's end goes to its beginning.
    fn put(&mut self, position: u64, from: &[u8]) {
        let (low, high) = self.bytes.split_at_mut(place(position));
        let (head, tail) = from.split_at(from.len().min(high.len()));
        for (part, bytes) in [(high, head), (low, tail)] {
            if let Some(to) = part.get_mut(..bytes.len()) {
                to.copy_from_slice(bytes);
            }
        }
    }

    /// Reads from a position, likewise.
    fn get(&self, position: u64, to: &mut [u8]) {
        let (low, high) = self.bytes.split_at(place(position));
        let (head, tail) = to.split_at_mut(to.len().min(high.len()));
        for (part, bytes) in [(high, head), (low, tail)] {
            if let Some(from) = part.get(..bytes.len()) {
                bytes.copy_from_slice(from);
            }
        }
    }
}

/// Where a position lies in the buffer.
fn place(position: u64) -> usize {
    (position % SIZE as u64) as usize
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::boxed::Box;
    use std::format;
    use std::string::String;

    use super::*;

    #[test]
    fn the_newest_records_are_kept_in_order_when_the_ring_is_full() {
        let mut ring = Box::new(Ring::new());
        // As many as fill it, and some more: Miri is slow.
        let all = if cfg!(miri) { 700 } else { 5_000 };
        let text = |n: u64| format!("{n} {}", "x".repeat((n * 7 % 200) as usize));
        for n in 0..all {
            ring.push(Nanos(n), Tag::Init, &text(n));
        }
        let mut record = Record::default();
        let mut position = 0;
        let mut seen = 0;
        let mut next = all - ring.count() as u64;
        while let Some(after) = ring.read(position, &mut record) {
            assert_eq!(record.at, Nanos(next));
            assert_eq!(record.text(), text(next));
            position = after;
            next += 1;
            seen += 1;
        }
        assert_eq!(next, all);
        assert_eq!(seen, ring.count());
        assert!(ring.count() > 400);
    }

    #[test]
    fn an_empty_ring_has_nothing_to_read() {
        let ring = Box::new(Ring::new());
        assert_eq!(ring.read(0, &mut Record::default()), None);
        assert_eq!(String::from(Record::default().text()), "");
    }
}
