//! What can be wrong with a tree, in words which name the place.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use crate::Malformed;

/// A mistake in a tree: where, and what.
///
/// Printed as `/soc/uart@9000000: property "reg": has 6 bytes, not a multiple of 16`.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone, PartialEq, Eq)]
struct Inner {
    path: String,
    property: Option<String>,
    problem: Problem,
}

/// What is wrong at the place that an [`Error`] names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The blob can't be read at all.
    Blob(Malformed),
    /// The node or the property does not exist.
    Missing,
    /// The property has `is` bytes; it has to have a multiple of `unit`, at least one.
    Length {
        /// Bytes of the property.
        is: usize,
        /// Bytes of one element.
        unit: usize,
    },
    /// The property is no text which ends with a NUL.
    NotText,
    /// A number of cells (`#address-cells` and its like) which can't be used.
    CellCount(u32),
    /// The property refers to a phandle that no node has.
    Dangling(u32),
    /// The address can't be translated: no range of this parent contains it.
    Unreachable(u64),
    /// The property has no element with this index.
    NoElement(usize),
    /// Something else, in words.
    Other(Cow<'static, str>),
}

impl Error {
    /// An error about the node at `path`, or about one of its properties.
    pub fn new(path: impl Into<String>, property: Option<&str>, problem: Problem) -> Self {
        Error { inner: Box::new(Inner { path: path.into(), property: property.map(String::from), problem }) }
    }

    /// The path of the node; empty if the blob could not be read.
    pub fn path(&self) -> &str {
        &self.inner.path
    }

    /// The property, if the mistake is in one.
    pub fn property(&self) -> Option<&str> {
        self.inner.property.as_deref()
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.inner.problem
    }

    /// Whether the node or the property just is not there.
    pub fn is_missing(&self) -> bool {
        self.inner.problem == Problem::Missing
    }
}

impl From<Malformed> for Error {
    fn from(malformed: Malformed) -> Self {
        Error::new("", None, Problem::Blob(malformed))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { path, property, problem } = &*self.inner;
        if !path.is_empty() {
            write!(f, "{path}: ")?;
        }
        if let Some(property) = property {
            write!(f, "property \"{property}\": ")?;
        }
        problem.fmt(f)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl core::error::Error for Error {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::Blob(malformed) => malformed.fmt(f),
            Problem::Missing => f.write_str("is missing"),
            Problem::Length { is, unit } => write!(f, "has {is} bytes, not a multiple of {unit}"),
            Problem::NotText => f.write_str("is not text"),
            Problem::CellCount(count) => write!(f, "{count} cells can't be used here"),
            Problem::Dangling(phandle) => write!(f, "refers to phandle {phandle:#x}, which no node has"),
            Problem::Unreachable(address) => write!(f, "address {address:#x} is in no range of its bus"),
            Problem::NoElement(index) => write!(f, "has no element {index}"),
            Problem::Other(text) => f.write_str(text),
        }
    }
}
