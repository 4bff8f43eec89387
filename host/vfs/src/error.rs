//! What can go wrong with files.

use core::fmt;

use alloc::string::String;

/// Something went wrong with a file, a mount or a source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Error {
    /// Which one.
    pub path: String,
    /// What went wrong.
    pub why: Why,
}

/// What went wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It does not exist.
    NotFound,
    /// A part of the path, or what should be a directory, is none.
    NotADirectory,
    /// It is a directory.
    IsADirectory,
    /// It is neither a file nor a directory.
    NotAFile,
    /// There are too many symbolic links on the way.
    TooManyLinks,
    /// The path does not begin with `/`.
    NotAbsolute,
    /// No such source was published.
    NoSuchSource,
    /// Nothing is mounted there.
    NotMounted,
    /// Something is mounted there already.
    AlreadyMounted,
    /// Files of it are open, or something is mounted on it.
    Busy,
    /// It is nothing that can be mounted, but this.
    NotRecognized(image::Kind),
    /// It is damaged.
    Corrupt(&'static str),
    /// There is not enough memory.
    NoMemory,
}

impl Why {
    /// With the path that it is about.
    pub(crate) fn at(self, path: &str) -> Error {
        Error { path: String::from(path), why: self }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file or directory",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::NotAFile => "not a file",
            Self::TooManyLinks => "too many symbolic links",
            Self::NotAbsolute => "the path does not begin with /",
            Self::NoSuchSource => "no such source",
            Self::NotMounted => "nothing is mounted there",
            Self::AlreadyMounted => "something is mounted there already",
            Self::Busy => "in use",
            Self::NotRecognized(what) => return write!(f, "not a filesystem, but: {what}"),
            Self::Corrupt(what) => return write!(f, "damaged: {what}"),
            Self::NoMemory => "not enough memory",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.why)
    }
}

impl core::error::Error for Error {}
