//! How much of what a guest sent a user has seen, so that a terminal which is attached again goes on where
//! it left.

use alloc::vec::Vec;

use atomic::{Arc, Weak};
use host_sync::Spin;
use vio::serial::Serial;

/// Bytes of what the guest sent before that are shown at most, from the beginning of a line on.
const TAIL: usize = 2048;
/// A line that the guest has not ended, such as its prompt, is shown again; as much of it.
const LINE: usize = 256;

/// The ports that were looked at, each with the count of bytes that were shown.
static SEEN: Spin<Vec<(Weak<Serial>, u64)>> = Spin::new(Vec::new());

/// How many of the last bytes that the guest sent should be shown first.
pub(super) fn tail(port: &Arc<Serial>) -> usize {
    let history = port.history(TAIL);
    let position = {
        let seen = SEEN.lock();
        seen.iter()
            .find(|(known, _)| known.as_ptr() == Arc::as_ptr(port))
            .map_or(0, |(_, position)| *position)
    };
    let unseen = usize::try_from(port.sent().saturating_sub(position)).unwrap_or(TAIL);
    let line = history.iter().rev().take(LINE).take_while(|byte| **byte != b'\n').count();
    let wanted = unseen.max(line).min(history.len());
    let shown = history.get(history.len() - wanted..).unwrap_or_default();
    // What does not begin with what the user saw last begins with a line, if there is one.
    if unseen > wanted && shown.len() == TAIL {
        let begun = shown.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        return wanted - begun;
    }
    wanted
}

/// Remembers that all before `position` was shown.
pub(super) fn remember(port: &Arc<Serial>, position: u64) {
    let mut seen = SEEN.lock();
    seen.retain(|(known, _)| known.strong_count() > 0 && known.as_ptr() != Arc::as_ptr(port));
    seen.push((Arc::downgrade(port), position));
}

#[cfg(test)]
mod tests {
    use vio::serial::Serial;

    use super::{TAIL, remember, tail};

    fn send(port: &Serial, text: &[u8]) {
        for byte in text {
            port.put(*byte);
        }
    }

    #[test]
    fn what_was_seen_is_not_shown_again_but_for_an_open_line() {
        let port = Serial::new("seen-test/uart0");
        assert_eq!(tail(&port), 0);
        send(&port, b"boot\nlogin: ");
        assert_eq!(tail(&port), 12);
        remember(&port, port.sent());
        assert_eq!(tail(&port), "login: ".len());
        send(&port, b"\nmore\n");
        assert_eq!(tail(&port), "\nmore\n".len());
    }

    #[test]
    fn a_long_history_is_shown_from_the_beginning_of_a_line() {
        let port = Serial::new("seen-long/uart0");
        for _ in 0..TAIL {
            send(&port, b"0123456\n");
        }
        send(&port, b"abc");
        assert_eq!(tail(&port) % 8, 3);
        assert!(tail(&port) > TAIL - 9);
    }
}
