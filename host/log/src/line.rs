//! One line, formatted on the speaker's stack.

use core::fmt::{self, Write};

use crate::level::Tag;

/// Bytes of a line, its prefix and its newline included; what is longer is cut and ends in `...`.
pub const LINE: usize = 256;

const CUT: &str = "...\n";

/// A formatted line.
pub(crate) struct Line {
    bytes: [u8; LINE],
    length: usize,
    prefix: usize,
    cut: bool,
}

impl Line {
    /// `tag`'s prefix and the text.
    pub(crate) fn new(tag: Tag, text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; LINE], length: 0, prefix: 0, cut: false };
        // Cutting is no error, and nothing else in here fails; a Display that does has said what it could.
        let _ = line.write_str(tag.prefix());
        line.prefix = line.length;
        let _ = line.write_fmt(text);
        line.end();
        line
    }

    /// The text alone.
    pub(crate) fn bare(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; LINE], length: 0, prefix: 0, cut: false };
        let _ = line.write_fmt(text);
        line.end();
        line
    }

    /// The line with prefix and newline.
    pub(crate) fn whole(&self) -> &str {
        self.str_from(0, self.length)
    }

    /// The line without either.
    pub(crate) fn text(&self) -> &str {
        self.str_from(self.prefix, self.length.saturating_sub(1))
    }

    fn str_from(&self, from: usize, to: usize) -> &str {
        let bytes = self.bytes.get(from..to).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or("(not text)")
    }

    fn end(&mut self) {
        while self.length > self.prefix && self.bytes.get(self.length - 1) == Some(&b'\n') {
            self.length -= 1;
        }
        // Room for this was kept back by `write_str`.
        let end = if self.cut { CUT } else { "\n" };
        if let Some(rest) = self.bytes.get_mut(self.length..self.length + end.len()) {
            rest.copy_from_slice(end.as_bytes());
            self.length += end.len();
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = LINE - CUT.len() - self.length;
        let mut taken = text.len();
        if taken > room || self.cut {
            self.cut = true;
            taken = room.min(taken);
            while !text.is_char_boundary(taken) {
                taken -= 1;
            }
        }
        let from = text.as_bytes().get(..taken).unwrap_or_default();
        if let Some(to) = self.bytes.get_mut(self.length..self.length + taken) {
            to.copy_from_slice(from);
            for byte in to {
                // What a guest or a file wrote must not steer the terminal that shows it.
                if byte.is_ascii_control() && *byte != b'\n' && *byte != b'\t' {
                    *byte = b'?';
                }
            }
            self.length += taken;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::String;

    use super::*;
    use crate::Level;

    #[test]
    fn a_line_ends_in_one_newline() {
        let line = Line::new(Tag::Level(Level::Info), format_args!("two\nlines\n"));
        assert_eq!(line.whole(), "INFO: two\nlines\n");
        assert_eq!(line.text(), "two\nlines");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        for lead in 0..4 {
            let text = String::from("xxxx").split_off(lead) + &"ä".repeat(LINE);
            let line = Line::bare(format_args!("{text}"));
            assert!(line.whole().len() <= LINE);
            assert!(line.whole().ends_with("ä...\n"));
        }
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let line = Line::bare(format_args!("a\x1b[2Jb\x07"));
        assert_eq!(line.text(), "a?[2Jb?");
    }
}
