//! The state of objects as a tree of named values, for a person to read.
//!
//! An object says what it is by filling a [`Tree`]; it knows neither who asks nor how it is shown:
//!
//! ```
//! struct Uart {
//!     control: u32,
//!     sent: u64,
//! }
//!
//! impl inspect::Inspect for Uart {
//!     fn inspect(&self, tree: &mut inspect::Tree<'_>) {
//!         tree.hex("control", self.control);
//!         tree.child("statistics", |tree| tree.field("sent", self.sent));
//!     }
//! }
//!
//! let mut text = String::new();
//! inspect::print(&Uart { control: 0x301, sent: 7 }, "", &mut text).unwrap();
//! assert_eq!(text, "control: 0x301\nstatistics:\n  sent: 7\n");
//! ```
//!
//! Nothing is collected: what is wanted is written while the objects are visited, and what lies beside the
//! wanted path is not visited (so that no lock is taken for it).
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use core::fmt::{self, Display, LowerHex, Write};

/// What can tell its state.
pub trait Inspect {
    /// Fills in fields and children.
    fn inspect(&self, tree: &mut Tree<'_>);
}

impl<F: Fn(&mut Tree<'_>)> Inspect for F {
    fn inspect(&self, tree: &mut Tree<'_>) {
        self(tree);
    }
}

/// Why nothing, or not all, was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is nothing at this path.
    NotFound,
    /// The output took no more.
    Output,
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotFound => "there is nothing of this name",
            Error::Output => "the output took no more",
        })
    }
}

impl core::error::Error for Error {}

/// Writes what is at `path` below `root` as indented text; all, if the path is empty.
///
/// The steps of a path are separated by `/`: `machines/guest0/devices/uart0`. At a field, the value alone
/// is written.
///
/// # Errors
/// There is nothing at this path; or the output fails.
pub fn print(root: &dyn Inspect, path: &str, out: &mut dyn Write) -> Result<(), Error> {
    visit(root, path, Output::Text(out))
}

/// Calls `name` with each name that may be the next step behind `path`; with a `/` behind it, if more follow.
///
/// # Errors
/// There is nothing at this path.
pub fn names(root: &dyn Inspect, path: &str, name: &mut dyn FnMut(fmt::Arguments<'_>)) -> Result<(), Error> {
    visit(root, path, Output::Names(name))
}

fn visit<'a>(root: &dyn Inspect, path: &'a str, out: Output<'a>) -> Result<(), Error> {
    let path = path.trim_matches('/');
    let mut tree = Tree { out, path, depth: 0, found: path.is_empty(), result: Ok(()) };
    root.inspect(&mut tree);
    match (tree.found, tree.result) {
        (_, Err(_)) => Err(Error::Output),
        (false, _) => Err(Error::NotFound),
        (true, Ok(())) => Ok(()),
    }
}

/// Where an object puts its state.
pub struct Tree<'a> {
    out: Output<'a>,
    /// What of the wanted path lies below here; empty at and below what is wanted.
    path: &'a str,
    /// Below what is wanted.
    depth: usize,
    found: bool,
    result: fmt::Result,
}

enum Output<'a> {
    Text(&'a mut dyn Write),
    Names(&'a mut dyn FnMut(fmt::Arguments<'_>)),
}

impl Tree<'_> {
    /// A value, as it displays itself: a number, a text, `format_args!(…)`.
    pub fn field(&mut self, name: &str, value: impl Display) {
        self.value(name, format_args!("{value}"));
    }

    /// A number in hexadecimal.
    pub fn hex(&mut self, name: &str, value: impl LowerHex) {
        self.value(name, format_args!("{value:#x}"));
    }

    /// A thing that has fields or children itself. `fill` is called only if something in it is wanted.
    pub fn child(&mut self, name: &str, fill: impl FnOnce(&mut Tree<'_>)) {
        self.descend(name, |tree| fill(tree));
    }

    /// As [`Tree::child`], of an object.
    pub fn object(&mut self, name: &str, object: &dyn Inspect) {
        self.descend(name, |tree| object.inspect(tree));
    }

    fn value(&mut self, name: &str, value: fmt::Arguments<'_>) {
        let depth = self.depth;
        match &mut self.out {
            Output::Text(out) if self.path.is_empty() => {
                let result = line(*out, depth, format_args!("{name}: {value}"));
                self.result = self.result.and(result);
            }
            Output::Text(out) if self.path == name => {
                self.found = true;
                let result = line(*out, 0, value);
                self.result = self.result.and(result);
            }
            Output::Names(out) if self.path.is_empty() => out(format_args!("{name}")),
            Output::Text(_) | Output::Names(_) => {}
        }
    }

    fn descend(&mut self, name: &str, fill: impl FnOnce(&mut Tree<'_>)) {
        if self.path.is_empty() {
            let depth = self.depth;
            match &mut self.out {
                Output::Text(out) => {
                    let result = line(*out, depth, format_args!("{name}:"));
                    self.result = self.result.and(result);
                    self.depth += 1;
                    fill(self);
                    self.depth = depth;
                }
                Output::Names(out) => out(format_args!("{name}/")),
            }
            return;
        }
        let (step, rest) = self.path.split_once('/').unwrap_or((self.path, ""));
        if step == name {
            let path = core::mem::replace(&mut self.path, rest);
            self.found |= rest.is_empty();
            fill(self);
            self.path = path;
        }
    }
}

fn line(out: &mut dyn Write, depth: usize, text: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(out, "{:1$}{text}", "", depth * 2)
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::{Error, Inspect, Tree, names, print};

    struct Machine;

    impl Inspect for Machine {
        fn inspect(&self, tree: &mut Tree<'_>) {
            tree.field("state", "running");
            tree.child("devices", |tree| {
                tree.child("uart0", |tree| tree.hex("control", 0x301_u32));
                tree.child("uart1", |_| {});
            });
            tree.field("vcpus", 2);
        }
    }

    fn root(tree: &mut Tree<'_>) {
        tree.child("machines", |tree| {
            tree.object("guest0", &Machine);
            tree.child("guest1", |tree| tree.field("state", "halted"));
        });
        tree.field("uptime", format_args!("{} s", 5));
    }

    fn text(path: &str) -> String {
        let mut text = String::new();
        print(&root, path, &mut text).unwrap();
        text
    }

    #[test]
    fn all_is_printed_indented() {
        assert_eq!(
            text(""),
            "machines:\n  guest0:\n    state: running\n    devices:\n      uart0:\n        control: 0x301\n      \
             uart1:\n    vcpus: 2\n  guest1:\n    state: halted\nuptime: 5 s\n"
        );
    }

    #[test]
    fn a_path_selects_an_object_or_a_value() {
        assert_eq!(text("machines/guest0/devices"), "uart0:\n  control: 0x301\nuart1:\n");
        assert_eq!(text("/machines/guest1/"), "state: halted\n");
        assert_eq!(text("machines/guest0/devices/uart0/control"), "0x301\n");
        assert_eq!((text("uptime"), text("machines/guest0/devices/uart1")), ("5 s\n".into(), String::new()));
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for path in ["x", "machines/guest2", "uptime/x", "machines/guest0/state/x", "machines//guest0"] {
            assert_eq!(print(&root, path, &mut String::new()), Err(Error::NotFound), "{path}");
        }
    }

    #[test]
    fn what_is_not_wanted_is_not_visited() {
        let root = |tree: &mut Tree<'_>| {
            tree.child("a", |tree| tree.field("x", 1));
            tree.child("b", |_| panic!("visited"));
        };
        print(&root, "a", &mut String::new()).unwrap();
    }

    #[test]
    fn names_are_the_next_steps() {
        let steps = |path: &str| {
            let mut steps = Vec::new();
            names(&root, path, &mut |name| steps.push(name.to_string())).map(|()| steps)
        };
        assert_eq!(steps("").unwrap(), ["machines/", "uptime"]);
        assert_eq!(steps("machines/guest0").unwrap(), ["state", "devices/", "vcpus"]);
        assert_eq!(steps("x"), Err(Error::NotFound));
    }
}
