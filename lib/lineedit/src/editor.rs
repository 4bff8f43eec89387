//! The line, the cursor in it, and what the terminal shows of both.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::history::History;
use crate::keys::{Decoder, Key};

/// The longest line, in bytes.
pub const MAX_LINE: usize = 1024;

/// How many lines are remembered.
const HISTORY: usize = 64;

/// What came of a byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nothing yet.
    None,
    /// A line was entered. Show the [prompt](Editor::prompt) again when what it asks for is done.
    Line(String),
    /// Ctrl-C: the line was given up. Show the prompt again.
    Interrupt,
    /// Ctrl-D in an empty line.
    EndOfInput,
}

/// Gives the words which the word before the cursor may become, given the line before the cursor.
/// (Those which do not begin as that word does are left out by the editor.)
pub type Complete<'a> = &'a dyn Fn(&str) -> Vec<String>;

/// The editor of one session.
pub struct Editor {
    prompt: String,
    decoder: Decoder,
    line: String,
    /// In bytes; always between characters.
    cursor: usize,
    cut: String,
    history: History,
    /// The last key was a Tab which could not complete.
    tab_failed: bool,
}

/// What can't be shown is the terminal's loss, not ours: output errors are passed over.
struct Screen<'a>(&'a mut dyn Write);

impl Screen<'_> {
    fn text(&mut self, text: &str) {
        let _ = self.0.write_str(text);
    }

    /// Moves the cursor left over the characters of `text`.
    fn back_over(&mut self, text: &str) {
        match text.chars().count() {
            0 => {}
            1 => self.text("\x08"),
            count => {
                let _ = write!(self.0, "\x1b[{count}D");
            }
        }
    }

    fn erase_to_end(&mut self) {
        self.text("\x1b[K");
    }

    fn bell(&mut self) {
        self.text("\x07");
    }
}

impl Editor {
    /// An editor which shows `prompt` before its lines.
    pub fn new(prompt: &str) -> Self {
        Editor {
            prompt: prompt.into(),
            decoder: Decoder::default(),
            line: String::new(),
            cursor: 0,
            cut: String::new(),
            history: History::new(HISTORY),
            tab_failed: false,
        }
    }

    /// Shows the prompt, and the line so far: at the beginning, after an event, and when something else was
    /// written to the terminal in the meantime.
    pub fn prompt(&self, out: &mut dyn Write) {
        let mut screen = Screen(out);
        screen.text("\r");
        screen.text(&self.prompt);
        screen.text(&self.line);
        screen.erase_to_end();
        screen.back_over(self.behind());
    }

    /// The lines that were entered, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &str> {
        self.history.lines()
    }

    /// Takes one byte from the terminal, and writes to `out` what it has to show.
    pub fn feed(&mut self, byte: u8, out: &mut dyn Write, complete: Complete<'_>) -> Event {
        let Some(key) = self.decoder.feed(byte) else { return Event::None };
        let screen = &mut Screen(out);
        let tab_failed = core::mem::take(&mut self.tab_failed);
        match key {
            Key::Character(character) => {
                let mut buffer = [0; 4];
                self.insert(character.encode_utf8(&mut buffer), screen);
            }
            Key::Enter => {
                screen.text("\r\n");
                self.cursor = 0;
                let line = core::mem::take(&mut self.line);
                self.history.push(&line);
                return Event::Line(line);
            }
            Key::Interrupt => {
                screen.text("^C\r\n");
                self.cursor = 0;
                self.line.clear();
                self.history.rewind();
                return Event::Interrupt;
            }
            Key::DeleteOrEnd if self.line.is_empty() => {
                screen.text("\r\n");
                return Event::EndOfInput;
            }
            Key::Tab => self.complete(tab_failed, screen, complete),
            Key::Clear => {
                screen.text("\x1b[H\x1b[2J");
                self.prompt(screen.0);
            }
            Key::Left => self.go(self.left(), screen),
            Key::Right => self.go(self.right(), screen),
            Key::WordLeft => self.go(self.word_left(), screen),
            Key::WordRight => self.go(self.word_right(), screen),
            Key::Start => self.go(0, screen),
            Key::End => self.go(self.line.len(), screen),
            Key::Backspace => drop(self.remove(self.left(), self.cursor, screen)),
            Key::Delete | Key::DeleteOrEnd => drop(self.remove(self.cursor, self.right(), screen)),
            Key::CutWordLeft => self.cut(self.word_left(), self.cursor, screen),
            Key::CutWordRight => self.cut(self.cursor, self.word_right(), screen),
            Key::CutToStart => self.cut(0, self.cursor, screen),
            Key::CutToEnd => self.cut(self.cursor, self.line.len(), screen),
            Key::Paste => {
                let cut = core::mem::take(&mut self.cut);
                self.insert(&cut, screen);
                self.cut = cut;
            }
            Key::Older => match self.history.older(&self.line) {
                Some(line) => self.replace(line, screen),
                None => screen.bell(),
            },
            Key::Newer => match self.history.newer() {
                Some(line) => self.replace(line, screen),
                None => screen.bell(),
            },
        }
        Event::None
    }

    fn before(&self) -> &str {
        self.line.get(..self.cursor).unwrap_or("")
    }

    fn behind(&self) -> &str {
        self.line.get(self.cursor..).unwrap_or("")
    }

    fn left(&self) -> usize {
        self.cursor - self.before().chars().next_back().map_or(0, char::len_utf8)
    }

    fn right(&self) -> usize {
        self.cursor + self.behind().chars().next().map_or(0, char::len_utf8)
    }

    /// The beginning of the word before the cursor.
    fn word_left(&self) -> usize {
        let words = self.before().trim_end();
        words.rfind(char::is_whitespace).map_or(0, |blank| {
            blank + words.get(blank..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8)
        })
    }

    /// The end of the word behind the cursor.
    fn word_right(&self) -> usize {
        let behind = self.behind();
        let blanks = behind.len() - behind.trim_start().len();
        let end = behind.trim_start().find(char::is_whitespace);
        end.map_or(self.line.len(), |end| self.cursor + blanks + end)
    }

    fn go(&mut self, to: usize, screen: &mut Screen<'_>) {
        if to < self.cursor {
            screen.back_over(self.line.get(to..self.cursor).unwrap_or(""));
        } else {
            // Writing what stands there moves the cursor over it.
            screen.text(self.line.get(self.cursor..to).unwrap_or(""));
        }
        self.cursor = to;
    }

    fn insert(&mut self, text: &str, screen: &mut Screen<'_>) {
        if self.line.len() + text.len() > MAX_LINE {
            screen.bell();
            return;
        }
        self.line.insert_str(self.cursor, text);
        screen.text(self.behind());
        self.cursor += text.len();
        screen.back_over(self.behind());
    }

    fn remove(&mut self, start: usize, end: usize, screen: &mut Screen<'_>) -> String {
        if start >= end {
            screen.bell();
            return String::new();
        }
        self.go(start, screen);
        let removed = self.line.drain(start..end).collect();
        screen.text(self.behind());
        screen.erase_to_end();
        screen.back_over(self.behind());
        removed
    }

    fn cut(&mut self, start: usize, end: usize, screen: &mut Screen<'_>) {
        let removed = self.remove(start, end, screen);
        if !removed.is_empty() {
            self.cut = removed;
        }
    }

    fn replace(&mut self, line: String, screen: &mut Screen<'_>) {
        self.go(0, screen);
        self.line = line;
        screen.text(&self.line);
        screen.erase_to_end();
        self.cursor = self.line.len();
    }

    fn complete(&mut self, again: bool, screen: &mut Screen<'_>, complete: Complete<'_>) {
        let before = self.before();
        let word = before.rsplit([' ', '\t', ';']).next().unwrap_or("");
        let mut candidates = complete(before);
        candidates.retain(|candidate| candidate.starts_with(word));
        candidates.sort_unstable();
        candidates.dedup();
        let known = word.len();
        match candidates.as_slice() {
            [] => screen.bell(),
            [only] => {
                // What ends with a slash goes on.
                let blank = if only.ends_with('/') || self.behind().starts_with(' ') { "" } else { " " };
                let rest = String::from(only.get(known..).unwrap_or("")) + blank;
                self.insert(&rest, screen);
            }
            [first, .., last] => {
                // They are sorted: what the first and the last have in common, all have.
                let common = first.chars().zip(last.chars()).take_while(|(a, b)| a == b);
                let length = common.map(|(character, _)| character.len_utf8()).sum();
                if length > known {
                    self.insert(first.get(known..length).unwrap_or(""), screen);
                } else if again {
                    screen.text("\r\n");
                    for candidate in &candidates {
                        screen.text(candidate);
                        screen.text("  ");
                    }
                    screen.text("\r\n");
                    self.prompt(screen.0);
                    self.tab_failed = true;
                } else {
                    screen.bell();
                    self.tab_failed = true;
                }
            }
        }
    }
}
