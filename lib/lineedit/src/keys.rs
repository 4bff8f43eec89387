//! From bytes to keys: UTF-8, control characters, and escape sequences of ECMA-48 terminals.

/// What was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Character(char),
    Enter,
    Tab,
    Interrupt,
    Clear,
    Left,
    Right,
    WordLeft,
    WordRight,
    Start,
    End,
    Older,
    Newer,
    Backspace,
    Delete,
    /// Ctrl-D: deletes, or ends the input.
    DeleteOrEnd,
    CutWordLeft,
    CutWordRight,
    CutToEnd,
    CutToStart,
    Paste,
}

/// In the middle of what.
#[derive(Default)]
enum State {
    #[default]
    Ground,
    /// The first bytes of a character.
    Utf8 {
        bytes: [u8; 4],
        length: usize,
    },
    Escape,
    /// ESC O: one byte follows.
    SingleShift,
    /// ESC [: the first parameter, and whether there are more.
    Control {
        parameter: u16,
        more: bool,
    },
}

#[derive(Default)]
pub(crate) struct Decoder {
    state: State,
    after_return: bool,
}

impl Decoder {
    /// The key that `byte` completes, if it does. Whatever makes no sense is dropped.
    pub(crate) fn feed(&mut self, byte: u8) -> Option<Key> {
        const ESCAPE: u8 = 0x1b;
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match core::mem::take(&mut self.state) {
            // Control characters end whatever they come into.
            _ if byte == ESCAPE => {
                self.state = State::Escape;
                None
            }
            State::Escape => self.escaped(byte),
            // Return and line feed together are one key.
            _ if byte == b'\n' && after_return => None,
            _ if byte < 0x20 || byte == 0x7f => control(byte),
            State::Ground => self.utf8([0; 4], 0, byte),
            // A byte that begins a character ends an unfinished one.
            State::Utf8 { .. } if byte & 0xc0 != 0x80 => self.utf8([0; 4], 0, byte),
            State::Utf8 { bytes, length } => self.utf8(bytes, length, byte),
            State::SingleShift => final_byte(byte, 0, false),
            State::Control { parameter, more } => match byte {
                b'0'..=b'9' if !more => {
                    let parameter = parameter.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
                    self.state = State::Control { parameter, more };
                    None
                }
                0x20..=0x3f => {
                    self.state = State::Control { parameter, more: true };
                    None
                }
                _ => final_byte(byte, parameter, more),
            },
        }
    }

    fn utf8(&mut self, mut bytes: [u8; 4], length: usize, byte: u8) -> Option<Key> {
        *bytes.get_mut(length)? = byte;
        let length = length + 1;
        match core::str::from_utf8(bytes.get(..length)?) {
            Ok(text) => text.chars().next().filter(|character| !character.is_control()).map(Key::Character),
            Err(error) => {
                // Not wrong yet: more may come.
                if error.error_len().is_none() {
                    self.state = State::Utf8 { bytes, length };
                }
                None
            }
        }
    }

    fn escaped(&mut self, byte: u8) -> Option<Key> {
        match byte {
            b'[' => self.state = State::Control { parameter: 0, more: false },
            b'O' => self.state = State::SingleShift,
            b'b' | b'B' => return Some(Key::WordLeft),
            b'f' | b'F' => return Some(Key::WordRight),
            b'd' | b'D' => return Some(Key::CutWordRight),
            0x08 | 0x7f => return Some(Key::CutWordLeft),
            0x00..0x20 => return control(byte),
            _ => {}
        }
        None
    }
}

fn control(byte: u8) -> Option<Key> {
    const fn ctrl(letter: u8) -> u8 {
        letter & 0x1f
    }
    const A: u8 = ctrl(b'A');
    const B: u8 = ctrl(b'B');
    const C: u8 = ctrl(b'C');
    const D: u8 = ctrl(b'D');
    const E: u8 = ctrl(b'E');
    const F: u8 = ctrl(b'F');
    const H: u8 = ctrl(b'H');
    const K: u8 = ctrl(b'K');
    const L: u8 = ctrl(b'L');
    const N: u8 = ctrl(b'N');
    const P: u8 = ctrl(b'P');
    const U: u8 = ctrl(b'U');
    const W: u8 = ctrl(b'W');
    const Y: u8 = ctrl(b'Y');
    Some(match byte {
        b'\r' | b'\n' => Key::Enter,
        b'\t' => Key::Tab,
        A => Key::Start,
        B => Key::Left,
        C => Key::Interrupt,
        D => Key::DeleteOrEnd,
        E => Key::End,
        F => Key::Right,
        H | 0x7f => Key::Backspace,
        K => Key::CutToEnd,
        L => Key::Clear,
        N => Key::Newer,
        P => Key::Older,
        U => Key::CutToStart,
        W => Key::CutWordLeft,
        Y => Key::Paste,
        _ => return None,
    })
}

/// The key that a sequence means which ends with `byte`. A second parameter is a modifier, such as Ctrl.
fn final_byte(byte: u8, parameter: u16, modified: bool) -> Option<Key> {
    Some(match (byte, parameter) {
        (b'A', _) => Key::Older,
        (b'B', _) => Key::Newer,
        (b'C', _) => {
            if modified {
                Key::WordRight
            } else {
                Key::Right
            }
        }
        (b'D', _) => {
            if modified {
                Key::WordLeft
            } else {
                Key::Left
            }
        }
        (b'H', _) | (b'~', 1 | 7) => Key::Start,
        (b'F', _) | (b'~', 4 | 8) => Key::End,
        (b'~', 3) => Key::Delete,
        _ => return None,
    })
}
