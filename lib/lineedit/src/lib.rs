//! A terminal's line editor: bytes in, lines out.
//!
//! [`Editor::feed`] takes one byte from the terminal, writes what the terminal has to show, and says what
//! came of it. It waits for nothing and knows no device, so any number of sessions can have one each.
//!
//! Keys are those of Emacs, and the arrows: Ctrl-A/E line, Ctrl-B/F character, Alt-B/F or Ctrl-arrows
//! word; Ctrl-H, Ctrl-D delete; Ctrl-W, Alt-D, Ctrl-K, Ctrl-U cut, Ctrl-Y pastes; Ctrl-P/N history; Tab
//! completes, and lists if pressed again; Ctrl-L clears the screen; Ctrl-C gives the line up; Ctrl-D in an
//! empty line ends the input.
//!
//! The terminal understands UTF-8 and the sequences of ECMA-48 for "cursor left" and "erase in line"; each
//! character is taken to be one column wide.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod editor;
mod history;
mod keys;
#[cfg(test)]
mod tests;

pub use editor::{Complete, Editor, Event, MAX_LINE};
