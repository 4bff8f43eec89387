//! Files: what was loaded together with the hypervisor, seen as a tree of names.
//!
//! A *source* is named bytes ([`publish_image`]: the host's initrd). [`mount`] looks at what they are, a cpio
//! archive as such or compressed with gzip, and puts it into the tree. Files are then opened, listed, and
//! read by copying ([`File::read_at`]) or in place ([`bytes`]). Paths are absolute, `/` between names; `.`
//! and `..` are understood, symbolic links followed. Every [`Error`] names its path.
//!
//! All filesystems are read-only so far. Others, on disks, are to implement [`Filesystem`].
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod bytes;
mod cpio;
mod error;
mod filesystem;
mod mounts;
mod path;

pub use bytes::Bytes;
pub use error::{Error, Why};
pub use filesystem::{Entry, Filesystem, Kind, Node, Stat};
pub use mounts::{
    File, Mount, bytes, filesystems, list, mount, mounts, open, publish_image, sources, stat, umount,
};
pub use path::normalize;

#[cfg(test)]
mod tests;
