//! What a filesystem provides.

use alloc::string::String;
use alloc::vec::Vec;

use crate::bytes::Bytes;
use crate::error::Why;

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Bytes.
    File,
    /// Names.
    Directory,
    /// Another name.
    Link,
    /// Something that is of no use here: a device, a pipe.
    Other,
}

/// What is known about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// Bytes.
    pub length: u64,
    /// Permissions, as in POSIX.
    pub permissions: u16,
    /// When it was changed, in seconds since 1970.
    pub modified: u64,
}

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// What is known about it; of a link, about the link itself.
    pub stat: Stat,
}

/// A file, in the filesystem's own numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(pub u64);

/// A filesystem. Nodes that it is given are ones that it gave.
pub trait Filesystem: Send + Sync {
    /// Its kind's name, for tables.
    fn kind(&self) -> &'static str;
    /// What `path` stands for, links followed: names with `/` between them, none of them `.` or `..`; the
    /// empty path is the root.
    fn find(&self, path: &str) -> Result<Node, Why>;
    /// What is known about a file.
    fn stat(&self, node: Node) -> Stat;
    /// The names in a directory, sorted.
    fn list(&self, node: Node) -> Result<Vec<Entry>, Why>;
    /// Copies bytes of a file from `offset` on; fewer than asked for only at its end.
    fn read_at(&self, node: Node, offset: u64, to: &mut [u8]) -> Result<usize, Why>;
    /// A whole file, in place if that is possible.
    fn bytes(&self, node: Node) -> Result<Bytes, Why>;
}
