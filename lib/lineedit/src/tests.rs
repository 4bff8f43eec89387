//! Scripts of keys, on a terminal of one line.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;
use std::{format, vec};

use crate::{Editor, Event, MAX_LINE};

/// A terminal as wide as need be: what it shows in its last line, and where its cursor is.
#[derive(Default)]
struct Terminal {
    lines: Vec<String>,
    line: Vec<char>,
    column: usize,
    escape: Option<String>,
}

impl Write for Terminal {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            if let Some(mut escape) = self.escape.take() {
                escape.push(character);
                match character {
                    'D' => self.column -= escape[1..escape.len() - 1].parse::<usize>().unwrap(),
                    'K' => self.line.truncate(self.column),
                    'H' => self.column = 0,
                    'J' => self.line.clear(),
                    _ => self.escape = Some(escape),
                }
                continue;
            }
            match character {
                '\x1b' => self.escape = Some(String::new()),
                '\r' => self.column = 0,
                '\n' => self.lines.push(self.line.drain(..).collect()),
                '\x08' => self.column -= 1,
                '\x07' => {}
                shown => {
                    assert!(!shown.is_control() && self.column <= self.line.len());
                    if self.column == self.line.len() {
                        self.line.push(shown);
                    } else {
                        self.line[self.column] = shown;
                    }
                    self.column += 1;
                }
            }
        }
        Ok(())
    }
}

struct Session {
    editor: Editor,
    terminal: Terminal,
}

impl Session {
    fn new() -> Self {
        let mut session = Session { editor: Editor::new("# "), terminal: Terminal::default() };
        session.editor.prompt(&mut session.terminal);
        session
    }

    fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let complete = |before: &str| {
            let names: &[&str] = if before.contains(' ') {
                &["guest0", "guest1", "dir/"]
            } else {
                &["guest", "help", "heap", "größe"]
            };
            names.iter().map(|name| name.to_string()).collect()
        };
        let mut events = Vec::new();
        for &byte in bytes {
            match self.editor.feed(byte, &mut self.terminal, &complete) {
                Event::None => {}
                event => {
                    events.push(event);
                    self.editor.prompt(&mut self.terminal);
                }
            }
        }
        events
    }

    /// Types, and gives what the terminal shows behind the prompt, with `|` for the cursor.
    fn shows(&mut self, bytes: &[u8]) -> String {
        assert_eq!(self.feed(bytes), []);
        let mut shown = self.terminal.line.clone();
        shown.insert(self.terminal.column, '|');
        shown.into_iter().skip(2).collect()
    }

    fn enters(&mut self, bytes: &[u8]) -> String {
        match self.feed(bytes).pop() {
            Some(Event::Line(line)) => line,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_typed_is_shown_and_entered() {
    let mut session = Session::new();
    assert_eq!(session.shows("größe".as_bytes()), "größe|");
    assert_eq!(session.feed(b"\r"), [Event::Line("größe".into())]);
    assert_eq!(session.shows(b"\nx"), "x|");
    assert_eq!(session.feed(b"\n\n"), [Event::Line("x".into()), Event::Line("".into())]);
}

#[test]
fn the_cursor_moves_and_characters_are_inserted_where_it_is() {
    let mut session = Session::new();
    assert_eq!(session.shows(b"abcd\x02\x02X"), "abX|cd");
    assert_eq!(session.shows(b"\x01Y"), "Y|abXcd");
    assert_eq!(session.shows(b"\x05Z\x06"), "YabXcdZ|");
    assert_eq!(session.shows(b"\x1b[D\x1b[D"), "YabXc|dZ");
    assert_eq!(session.shows(b"\x1bOC\x1b[1~"), "|YabXcdZ");
    assert_eq!(session.shows(b"\x1b[F\x1b[H\x1b[4~\x1bOH\x1b[8~\x1b[7~\x1b[C"), "Y|abXcdZ");
}

#[test]
fn characters_are_deleted_on_both_sides() {
    let mut session = Session::new();
    assert_eq!(session.shows("aößd\x02\x7f".as_bytes()), "aö|d");
    assert_eq!(session.shows(b"\x08"), "a|d");
    assert_eq!(session.shows(b"\x1b[3~"), "a|");
    assert_eq!(session.shows(b"\x04\x1b[3~\x01\x08bc\x01\x04"), "|ca");
}

#[test]
fn words_are_left_cut_and_pasted() {
    let mut session = Session::new();
    assert_eq!(session.shows(b"one two three\x17"), "one two |");
    assert_eq!(session.shows(b"\x19\x19"), "one two threethree|");
    assert_eq!(session.shows(b"\x1bb\x1bb"), "one |two threethree");
    assert_eq!(session.shows(b"\x1bd\x1b[1;5C"), "one  threethree|");
    assert_eq!(session.shows(b"\x1b[1;5D\x15"), "|threethree");
    assert_eq!(session.shows(b"\x06\x0b\x19\x1b\x7f"), "|");
    assert_eq!(session.shows("\u{2003}ü\u{2003}\x17".as_bytes()), "\u{2003}|");
}

#[test]
fn history_goes_back_and_forth_and_keeps_the_draft() {
    let mut session = Session::new();
    for line in ["one\r", "two\r", "two\r", " \r", "three\r"] {
        session.feed(line.as_bytes());
    }
    assert_eq!(session.shows(b"draft\x1b[A"), "three|");
    assert_eq!(session.shows(b"\x10"), "two|");
    assert_eq!(session.shows(b"\x1b[A\x1b[A\x1b[A"), "one|");
    assert_eq!(session.shows(b"\x0e\x0e"), "three|");
    assert_eq!(session.shows(b"\x1b[B\x1b[B"), "draft|");
    assert_eq!(session.enters(b"\x10\x10!\r"), "two!");
    assert_eq!(session.editor.history().collect::<Vec<_>>(), ["one", "two", "three", "two!"]);
    for line in 0..1000 {
        session.feed(format!("{line}\r").as_bytes());
    }
    assert_eq!(session.editor.history().count(), 64);
}

#[test]
fn tab_completes_and_then_lists() {
    let mut session = Session::new();
    assert_eq!(session.shows(b"gu\t"), "guest |");
    assert_eq!(session.shows(b"\t"), "guest |");
    assert_eq!(session.shows(b"g\t"), "guest guest|");
    let lines = session.terminal.lines.len();
    assert_eq!(session.shows(b"\t"), "guest guest|");
    assert_eq!(session.terminal.lines.len(), lines);
    assert_eq!(session.shows(b"\t"), "guest guest|");
    assert_eq!(session.terminal.lines[lines..], ["# guest guest", "guest0  guest1  "]);
    assert_eq!(session.shows(b"1\t"), "guest guest1 |");
    assert_eq!(session.shows(b"d\tx\t"), "guest guest1 dir/x|");
    assert_eq!(session.shows(b"\x15\t\t"), "|");
    assert_eq!(session.shows("x;gr\t".as_bytes()), "x;größe |");
    assert_eq!(session.shows(b"\x15help rest\x01\x06\x06\x06\x06\t"), "help| rest");
}

#[test]
fn control_c_and_control_d_say_so() {
    let mut session = Session::new();
    assert_eq!(session.feed(b"abc\x03"), [Event::Interrupt]);
    assert_eq!(session.terminal.lines.last().unwrap(), "# abc^C");
    assert_eq!(session.feed(b"\x04"), [Event::EndOfInput]);
    assert_eq!(session.shows(b"a\x01\x04"), "|");
    assert_eq!(session.shows(b"abc\x02\x0c"), "ab|c");
}

#[test]
fn a_line_grows_no_longer_than_it_may() {
    let mut session = Session::new();
    session.feed(&vec![b'x'; MAX_LINE + 10]);
    assert_eq!(session.enters(b"\r").len(), MAX_LINE);
    session.feed(&vec![b'x'; MAX_LINE - 1]);
    session.feed("ü\r".as_bytes());
    assert_eq!(session.enters(b"\x15\x19\x19\x19\r"), "");
}

#[test]
fn garbage_is_dropped() {
    let mut session = Session::new();
    assert_eq!(session.shows(b"a\x1b[2;2;3;99999999999999~b\x1b[?25hc\x1bOQd\x1b[[Ae"), "abcdAe|");
    assert_eq!(session.shows(b"\xff\xc3(\x80\xe2\x82\x1b[Dx\0\x1c"), "abcdAex|(");
    assert_eq!(session.enters(b"\x1b[12\r"), "abcdAex(");
    assert_eq!(session.enters(b"\x1b\r"), "");
}

#[test]
fn any_bytes_keep_screen_and_line_the_same() {
    let mut session = Session::new();
    let mut random = 0x5eed_u64;
    for _ in 0..200_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let keys = b"\x1b[ADBC~3;5\x01\x02\x03\x04\x05\x06\x08\t\x0b\x0e\x10\x15\x17\x19\x7f\r\nab \xc3\xb6";
        let index = (random >> 32) as usize;
        let byte = if index.is_multiple_of(5) { (random >> 24) as u8 } else { keys[index % keys.len()] };
        session.feed(&[byte]);
        let shown: String = session.terminal.line.iter().collect();
        let mut fresh = Terminal::default();
        session.editor.prompt(&mut fresh);
        assert_eq!(shown, fresh.line.iter().collect::<String>());
        assert_eq!(session.terminal.column, fresh.column);
    }
}
