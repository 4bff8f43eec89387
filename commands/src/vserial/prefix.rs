//! What a guest sends, with the port's name before each line, so that one sees who is speaking.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Characters of a control sequence that are kept while it is read; a longer one is passed as it is.
const SEQUENCE: usize = 24;

/// Puts the name before lines, and shifts the columns of cursor movements by its width.
pub(super) struct Prefix {
    name: String,
    state: State,
    /// A control sequence that has not ended yet.
    sequence: Vec<u8>,
    /// Whether this was sent long ago: questions to the terminal are left out, since nobody waits for the
    /// answer any more, and it would come as if it were typed.
    pub(super) replay: bool,
    /// Whether there is nothing but the name on the line.
    fresh: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// A carriage return came: the name is written again, unless a line feed follows.
    Return,
    Escape,
    /// `ESC [` and what followed.
    Sequence,
}

impl Prefix {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: format!("[{name}] "),
            state: State::Text,
            sequence: Vec::with_capacity(SEQUENCE),
            replay: false,
            fresh: true,
        }
    }

    /// The name alone, for the line that is begun.
    pub(super) fn start(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name.as_bytes());
    }

    /// Adds lines that are not the guest's: on lines of their own, and the name again behind them.
    pub(super) fn interrupt(&mut self, lines: &str, out: &mut Vec<u8>) {
        // A line on which there is only the name is written over.
        out.extend_from_slice(if self.fresh { b"\r\x1b[K" } else { b"\r\n" });
        out.extend_from_slice(lines.as_bytes());
        self.start(out);
        self.fresh = true;
    }

    /// Adds to `out` what `bytes` become.
    pub(super) fn add(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.state == State::Text {
                // Most bytes are no control characters: copied in one go.
                let plain = rest.iter().take_while(|byte| !matches!(byte, b'\r' | b'\n' | 0x1b)).count();
                let (text, behind) = rest.split_at(plain);
                out.extend_from_slice(text);
                self.fresh &= plain == 0;
                rest = behind;
            }
            let Some((byte, behind)) = rest.split_first() else { break };
            rest = behind;
            self.byte(*byte, out);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) {
        match (self.state, byte) {
            (State::Return, b'\r') => {}
            (State::Return, b'\n') => {
                self.state = State::Text;
                self.new_line(out);
            }
            (State::Return, _) => {
                self.state = State::Text;
                self.start(out);
                self.byte(byte, out);
            }
            (State::Text, b'\r') => {
                out.push(byte);
                self.state = State::Return;
            }
            (State::Text, b'\n') => self.new_line(out),
            (State::Text, 0x1b) => {
                self.sequence.clear();
                self.sequence.push(byte);
                self.state = State::Escape;
            }
            (State::Text, _) => out.push(byte),
            (State::Escape, b'[') => {
                self.sequence.push(byte);
                self.state = State::Sequence;
            }
            (State::Escape, _) => self.give_up(byte, out),
            (State::Sequence, b'0'..=b'?') if self.sequence.len() < SEQUENCE => self.sequence.push(byte),
            (State::Sequence, b'G' | b'`' | b'H' | b'f') => {
                self.state = State::Text;
                self.moved(byte, out);
            }
            // Device attributes and status reports.
            (State::Sequence, b'c' | b'n') if self.replay => {
                self.state = State::Text;
                self.sequence.clear();
            }
            (State::Sequence, _) => self.give_up(byte, out),
        }
    }

    fn new_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.start(out);
        self.fresh = true;
    }

    /// The sequence is none that moves to a column.
    fn give_up(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.state = State::Text;
        self.fresh = false;
        out.append(&mut self.sequence);
        self.byte(byte, out);
    }

    /// `ESC [ column G` and `ESC [ row ; column H`: the column counts from the end of the name.
    fn moved(&mut self, end: u8, out: &mut Vec<u8>) {
        let parameters =
            self.sequence.get(2..).and_then(|text| core::str::from_utf8(text).ok()).unwrap_or("");
        let mut numbers = parameters.split(';').map(|number| number.parse::<usize>().unwrap_or(1).max(1));
        let first = numbers.next().unwrap_or(1);
        let column = if matches!(end, b'H' | b'f') { numbers.next().unwrap_or(1) } else { first };
        let column = column.saturating_add(self.name.chars().count());
        let text = match end {
            b'H' | b'f' => format!("\x1b[{first};{column}H"),
            _ => format!("\x1b[{column}G"),
        };
        out.extend_from_slice(text.as_bytes());
        self.sequence.clear();
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::Prefix;

    fn shown(chunks: &[&[u8]]) -> String {
        let mut prefix = Prefix::new("g/u");
        let mut out = Vec::new();
        prefix.start(&mut out);
        for chunk in chunks {
            prefix.add(chunk, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_name_stands_before_each_line() {
        assert_eq!(shown(&[b"a\r\nb\nc"]), "[g/u] a\r\r\n[g/u] b\r\n[g/u] c");
        assert_eq!(shown(&[b"a\r", b"\nb"]), "[g/u] a\r\r\n[g/u] b");
    }

    #[test]
    fn a_line_that_is_written_over_gets_its_name_again() {
        assert_eq!(shown(&[b"10%\r20%"]), "[g/u] 10%\r[g/u] 20%");
        assert_eq!(shown(&[b"10%\r\r\r\n"]), "[g/u] 10%\r\r\n[g/u] ");
    }

    #[test]
    fn a_line_of_somebody_else_cuts_nothing() {
        let mut prefix = Prefix::new("g/u");
        let mut out = Vec::new();
        prefix.start(&mut out);
        prefix.interrupt("INFO: x\r\n", &mut out);
        prefix.add(b"log", &mut out);
        prefix.interrupt("INFO: y\r\n", &mut out);
        prefix.add(b"in\n", &mut out);
        prefix.interrupt("INFO: z\r\n", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "[g/u] \r\x1b[KINFO: x\r\n[g/u] log\r\nINFO: y\r\n[g/u] in\r\n[g/u] \r\x1b[KINFO: z\r\n[g/u] "
        );
    }

    #[test]
    fn columns_are_shifted_and_other_sequences_pass() {
        assert_eq!(shown(&[b"\x1b[3", b"G"]), "[g/u] \x1b[9G");
        assert_eq!(shown(&[b"\x1b[H\x1b[2;5H\x1b[J"]), "[g/u] \x1b[1;7H\x1b[2;11H\x1b[J");
        assert_eq!(shown(&[b"\x1b[1;32mok\x1b[0m\x1bM"]), "[g/u] \x1b[1;32mok\x1b[0m\x1bM");
        assert_eq!(shown(&[b"\x1b[111111111111111111111111111111G"]).len(), 6 + 33);
    }

    #[test]
    fn old_questions_to_the_terminal_are_not_asked_again() {
        let mut prefix = Prefix::new("g/u");
        let mut out = Vec::new();
        prefix.add(b"$ \x1b[6n", &mut out);
        prefix.replay = true;
        prefix.add(b"$ \x1b[6n\x1b[1m\x1b[c.", &mut out);
        assert_eq!(out, b"$ \x1b[6n$ \x1b[1m.");
    }

    #[test]
    fn any_bytes_come_through() {
        let mut seed = 1_u32;
        let bytes: Vec<u8> = (0..10_000)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if seed & 0x700 == 0 { 0x1b } else { b"[;0129GH\r\nabc\xff"[(seed >> 24) as usize % 14] }
            })
            .collect();
        let mut out = Vec::new();
        Prefix::new("x").add(&bytes, &mut out);
        assert!(
            out.iter().filter(|byte| **byte == b'a').count() == bytes.iter().filter(|b| **b == b'a').count()
        );
    }
}
