//! The terminal as a guest's console, until ESC x q is typed.

use alloc::string::String;
use alloc::vec::Vec;

use arch::{Clock, Machine, Nanos};
use atomic::{Arc, AtomicBool, Ordering};
use vio::Urgency;
use vio::serial::Serial;

use super::prefix::Prefix;
use super::seen;
use crate::Terminal;

/// Bytes shown before keys are looked at again: a guest that floods its console does not lock us in.
const CHUNK: usize = 512;
/// So long an ESC waits for an `x` before the guest gets it.
const ESCAPE_PATIENCE: Nanos = Nanos::from_millis(1000);
/// A guest that sends a little is given time to send more: fewer, longer writes, and fewer switches
/// between it and us.
const GATHER: Nanos = Nanos::from_millis(2);
/// Typed bytes that wait for the guest to take them; more are lost.
const MAX_UNSENT: usize = 4096;

/// Shows what the port sends and sends what is typed.
pub(super) fn run(terminal: &mut dyn Terminal, port: &Arc<Serial>) {
    let gathering = Arc::new(AtomicBool::new(false));
    let bell = terminal.bell();
    let deaf = gathering.clone();
    let listener = move |urgency: Urgency| {
        if urgency != Urgency::Some || !deaf.load(Ordering::Relaxed) {
            bell();
        }
    };
    let mut reader = port.reader(Arc::new(listener));
    let tail = seen::tail(port);
    reader.rewind(tail);
    // Bytes that were sent before, and are shown first.
    let mut old = tail;
    let mut position = port.sent().saturating_sub(tail as u64);
    let mut prefix = Prefix::new(port.name());
    let mut out = Vec::with_capacity(2 * CHUNK);
    prefix.start(&mut out);
    terminal.write(&out);

    let mut keys = Keys::default();
    let mut unsent = Vec::new();
    let mut typed = [0; 64];
    let mut sent = [0; CHUNK];
    let mut lines = String::new();
    terminal.hold_log();
    loop {
        let count = terminal.read(&mut typed);
        let now = Machine::now();
        let mut pressed = typed.iter().take(count);
        let leave = pressed.any(|byte| keys.typed(*byte, now, &mut unsent));
        keys.flush(now, &mut unsent);
        let taken = port.write(&unsent);
        unsent.drain(..taken.min(unsent.len()));
        unsent.truncate(MAX_UNSENT);
        if leave {
            seen::remember(port, position);
            terminal.write(b"\r\n");
            terminal.release_log();
            return;
        }
        lines.clear();
        while terminal.log_line(&mut lines) {
            lines.push_str("\r\n");
        }
        if !lines.is_empty() {
            out.clear();
            prefix.interrupt(&lines, &mut out);
            terminal.write(&out);
        }

        // Before the port is read: what comes after that rings again.
        gathering.store(false, Ordering::SeqCst);
        let room = if old > 0 { old.min(CHUNK) } else { CHUNK };
        let length = reader.read(sent.get_mut(..room).unwrap_or_default());
        position += length as u64;
        prefix.replay = old > 0;
        old = if length > 0 { old.saturating_sub(length) } else { 0 };
        out.clear();
        prefix.add(sent.get(..length).unwrap_or_default(), &mut out);
        if !out.is_empty() {
            terminal.write(&out);
        }
        if count > 0 || (length > 0 && length == room) {
            continue;
        }
        if length == 0 && port.is_closed() {
            terminal.write(b"\r\n");
            terminal.release_log();
            return;
        }
        // Who sent a character will send more: those are shown together. A guest that does not take its
        // input is looked after again soon, too.
        gathering.store(length > 0, Ordering::SeqCst);
        let soon = (length > 0 || !unsent.is_empty()).then(|| now.after(GATHER));
        terminal.wait(soon.or(keys.deadline()));
    }
}

/// Finds ESC x q among the keys.
#[derive(Default)]
struct Keys {
    /// How much of it was typed.
    held: usize,
    /// When it began.
    since: Nanos,
}

const LEAVE: &[u8] = b"\x1bxq";

impl Keys {
    /// Adds to `through` what the guest gets of this key and those held back. Says whether to leave.
    fn typed(&mut self, byte: u8, now: Nanos, through: &mut Vec<u8>) -> bool {
        if LEAVE.get(self.held) == Some(&byte) {
            if self.held == 0 {
                self.since = now;
            }
            self.held += 1;
            return self.held == LEAVE.len();
        }
        self.release(through);
        if LEAVE.first() == Some(&byte) {
            self.held = 1;
            self.since = now;
        } else {
            through.push(byte);
        }
        false
    }

    /// Lets go what was held back too long: the user meant the guest.
    fn flush(&mut self, now: Nanos, through: &mut Vec<u8>) {
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.release(through);
        }
    }

    fn release(&mut self, through: &mut Vec<u8>) {
        through.extend_from_slice(LEAVE.get(..self.held).unwrap_or_default());
        self.held = 0;
    }

    fn deadline(&self) -> Option<Nanos> {
        (self.held > 0).then(|| self.since.after(ESCAPE_PATIENCE))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use arch::Nanos;
    use vio::serial::Serial;

    use super::{Keys, run};
    use crate::terminal::fake::Terminal;

    #[test]
    fn esc_x_q_leaves_and_everything_else_goes_through() {
        let mut keys = Keys::default();
        let mut through = Vec::new();
        for byte in b"a\x1b[A\x1bxy\x1b\x1bx" {
            assert!(!keys.typed(*byte, Nanos(0), &mut through));
        }
        assert!(keys.typed(b'q', Nanos(0), &mut through));
        assert_eq!(through, b"a\x1b[A\x1bxy\x1b");
    }

    #[test]
    fn a_lonely_escape_reaches_the_guest_after_a_while() {
        let mut keys = Keys::default();
        let mut through = Vec::new();
        keys.typed(0x1b, Nanos(5), &mut through);
        keys.flush(Nanos(6), &mut through);
        assert!(through.is_empty());
        keys.flush(keys.deadline().unwrap(), &mut through);
        assert_eq!(through, [0x1b]);
    }

    #[test]
    fn the_tail_is_shown_and_keys_reach_the_guest() {
        let port = Serial::new("bind-test/uart0");
        for byte in b"login: " {
            port.put(*byte);
        }
        let mut terminal = Terminal { typed: b"root\r\x1bxq".to_vec(), ..Terminal::default() };
        run(&mut terminal, &port);
        assert!(terminal.text().starts_with("[bind-test/uart0] "));
        let got: Vec<u8> = core::iter::from_fn(|| port.take()).collect();
        assert_eq!(got, b"root\r");
    }

    #[test]
    fn what_the_hypervisor_says_stands_on_lines_of_its_own() {
        let port = Serial::new("bind-log/uart0");
        for byte in b"login: " {
            port.put(*byte);
        }
        let mut terminal = Terminal { said: ["INFO: one", "NOTE: two"].into(), ..Terminal::default() };
        run(&mut terminal, &port);
        let text = terminal.text().replace("\x1b[K", "");
        assert!(text.contains("INFO: one\nNOTE: two\n[bind-log/uart0] login: "), "{text:?}");
        assert!(!terminal.holds);
    }

    #[test]
    fn a_port_that_goes_ends_it() {
        let port = Serial::new("bind-gone/uart0");
        for byte in b"last words\n" {
            port.put(*byte);
        }
        port.close();
        let mut terminal = Terminal { typed: Vec::new(), ..Terminal::default() };
        run(&mut terminal, &port);
        assert!(terminal.text().contains("last words"));
    }
}
