//! The management terminal's commands, with Xvisor's words, arguments and tables: one file each.
//!
//! A [`Command`] has one or more [`Form`]s; a form is the words that choose it, the arguments that it
//! takes, and a function. Usage texts, the check of how many words there are, and the completion of words
//! and of objects' names are made from these rows alone, so that they cannot differ.
//!
//! A [`Session`] runs lines on a [`Terminal`]. To add a command: one file, one `mod` line, one line in
//! [`COMMANDS`].
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod arguments;
mod calendar;
mod complete;
mod hexdump;
mod load;
mod objects;
mod session;
mod table;
mod terminal;
pub mod tree;

mod chardev;
mod devtree;
mod echo;
mod guest;
mod heap;
mod help;
mod host;
mod inspect_command;
mod log;
mod memory;
mod power;
mod rtcdev;
mod selftest;
mod sleep;
mod stdio;
mod thread;
mod vcpu;
mod version;
mod vfs;
mod vserial;
mod wallclock;

#[cfg(test)]
mod fuzz;

use alloc::string::{String, ToString};
use core::fmt;

pub use arguments::Args;
pub use complete::complete;
pub use session::{Session, Status};
pub use terminal::Terminal;
pub use version::BANNER;

/// Every command, in alphabetical order.
pub const COMMANDS: &[&Command] = &[
    &chardev::COMMAND,
    &devtree::COMMAND,
    &echo::COMMAND,
    &guest::COMMAND,
    &heap::COMMAND,
    &help::COMMAND,
    &host::COMMAND,
    &inspect_command::COMMAND,
    &log::COMMAND,
    &memory::COMMAND,
    &power::RESET,
    &rtcdev::COMMAND,
    &selftest::COMMAND,
    &power::SHUTDOWN,
    &sleep::COMMAND,
    &stdio::COMMAND,
    &thread::COMMAND,
    &vcpu::COMMAND,
    &version::COMMAND,
    &vfs::COMMAND,
    &vserial::COMMAND,
    &wallclock::COMMAND,
];

/// A command.
pub struct Command {
    /// Its first word.
    pub name: &'static str,
    /// What it is for, for the list of commands.
    pub about: &'static str,
    /// What can follow.
    pub forms: &'static [Form],
}

/// One way to say a command.
pub struct Form {
    /// The words that choose it, separated by blanks; none for a command that has one form only.
    pub words: &'static str,
    /// The arguments, as usage texts show them: `<name>` must be there, `[<name>]` may, and `...` at the
    /// end stands for any number of the last one. The name says which objects can be completed there:
    /// see `objects.rs`.
    pub arguments: &'static str,
    /// Does it.
    pub run: fn(&mut Session<'_>, &Args<'_>) -> Result<(), Failed>,
}

/// Why a command failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failed {
    /// The words are not those of any form: the usage is shown with this.
    Usage(String),
    /// This.
    Because(String),
}

impl Failed {
    /// It failed: `why`, which names the word or the object.
    pub fn because(why: impl fmt::Display) -> Self {
        Self::Because(why.to_string())
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(why) | Self::Because(why) => f.write_str(why),
        }
    }
}

impl From<fmt::Error> for Failed {
    fn from(_: fmt::Error) -> Self {
        Self::because("the terminal does not take its output")
    }
}

impl From<fdt::Error> for Failed {
    fn from(error: fdt::Error) -> Self {
        Self::because(error)
    }
}

impl From<host_vfs::Error> for Failed {
    fn from(error: host_vfs::Error) -> Self {
        Self::because(error)
    }
}
