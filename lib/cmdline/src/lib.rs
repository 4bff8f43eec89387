//! Words: what is typed at the terminal, what scripts hold, and what the boot loader passes.
//!
//! * [`split`] makes commands of a line, and words of a command: quotes, backslash, `;`, `#`.
//! * [`Args`] takes the words of a command one by one, as what the command needs them to be; what is
//!   wrong comes back as an [`ArgError`] which names the word.
//! * [`parameters`] reads a kernel's command line: `key=value key="a b" flag`.
//! * [`parse`] has the forms of single words: numbers, durations, times, months.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod args;
mod boot;
pub mod parse;
mod split;

pub use args::{ArgError, Args};
pub use boot::{Parameter, parameter, parameters};
pub use split::{SplitError, split};
