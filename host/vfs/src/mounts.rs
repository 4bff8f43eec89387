//! Sources, mounts, and the way from a path to a file.

use alloc::string::String;
use alloc::vec::Vec;
use atomic::Arc;
use host_sync::Spin;
use image::gzip;

use crate::bytes::Bytes;
use crate::cpio::{self, Cpio};
use crate::error::{Error, Why};
use crate::filesystem::{Entry, Filesystem, Kind, Node, Stat};
use crate::path::{below, normalize};

/// The most that a compressed source may inflate to.
const MOST: u64 = 1 << 30;

struct Source {
    name: String,
    bytes: Bytes,
}

struct Mounted {
    source: String,
    path: String,
    filesystem: Arc<dyn Filesystem>,
}

static SOURCES: Spin<Vec<Source>> = Spin::new(Vec::new());
static MOUNTS: Spin<Vec<Mounted>> = Spin::new(Vec::new());

/// The kinds of filesystems that can be mounted.
pub fn filesystems() -> &'static [&'static str] {
    &[cpio::KIND]
}

/// Publishes bytes that can be mounted, in place of those that had the name before.
pub fn publish_image(name: &str, bytes: impl Into<Bytes>) {
    let source = Source { name: String::from(name), bytes: bytes.into() };
    let mut sources = SOURCES.lock();
    match sources.iter_mut().find(|other| other.name == name) {
        Some(other) => *other = source,
        None => sources.push(source),
    }
}

/// The names of all sources.
pub fn sources() -> Vec<String> {
    SOURCES.lock().iter().map(|source| source.name.clone()).collect()
}

/// Mounts a source at a path: the root, or a directory of what is mounted already. A compressed source is
/// inflated, which takes as much memory.
///
/// # Errors
/// They name the source or the path; nothing is mounted then.
pub fn mount(source: &str, path: &str) -> Result<(), Error> {
    let path = normalize(path)?;
    let bytes = SOURCES.lock().iter().find(|other| other.name == source).map(|other| other.bytes.clone());
    let bytes = bytes.ok_or_else(|| Why::NoSuchSource.at(source))?;
    if path != "/" {
        let (filesystem, node) = find(&path)?;
        if filesystem.stat(node).kind != Kind::Directory {
            return Err(Why::NotADirectory.at(&path));
        }
    }
    let filesystem = recognize(bytes).map_err(|why| why.at(source))?;
    let mut mounts = MOUNTS.lock();
    if mounts.iter().any(|other| other.path == path) {
        return Err(Why::AlreadyMounted.at(&path));
    }
    mounts.push(Mounted { source: String::from(source), path, filesystem });
    Ok(())
}

/// Looks at what bytes are, and makes the filesystem.
fn recognize(bytes: Bytes) -> Result<Arc<dyn Filesystem>, Why> {
    let bytes = match image::Kind::detect(&bytes) {
        image::Kind::Gzip => {
            Bytes::from(gzip::inflate_to_vec(&bytes, MOST).map_err(|error| match error {
                gzip::Error::Receiver(gzip::NoMemory) | gzip::Error::TooLong(_) => Why::NoMemory,
                gzip::Error::Truncated => Why::Corrupt("truncated gzip file"),
                gzip::Error::NotGzip | gzip::Error::Corrupt | gzip::Error::Checksum => {
                    Why::Corrupt("corrupt gzip file")
                }
            })?)
        }
        _ => bytes,
    };
    match image::Kind::detect(&bytes) {
        image::Kind::Cpio => Ok(Arc::new(Cpio::new(bytes)?)),
        other => Err(Why::NotRecognized(other)),
    }
}

/// Takes a mount away.
///
/// # Errors
/// Nothing is mounted there, files are open, or something is mounted below.
pub fn umount(path: &str) -> Result<(), Error> {
    let path = normalize(path)?;
    let mut mounts = MOUNTS.lock();
    let index =
        mounts.iter().position(|mounted| mounted.path == path).ok_or_else(|| Why::NotMounted.at(&path))?;
    let others = mounts.iter().any(|other| other.path != path && below(&other.path, &path).is_some());
    // Whoever uses it holds a reference, and nobody gets one while the list is locked.
    let open = mounts.get(index).is_some_and(|mounted| Arc::strong_count(&mounted.filesystem) > 1);
    if others || open {
        return Err(Why::Busy.at(&path));
    }
    let gone = mounts.remove(index);
    drop(mounts);
    drop(gone);
    Ok(())
}

/// Something that is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// The source.
    pub source: String,
    /// Where.
    pub path: String,
    /// What kind of filesystem it is.
    pub filesystem: &'static str,
}

/// What is mounted, in the order in which it was.
pub fn mounts() -> Vec<Mount> {
    let describe = |mounted: &Mounted| Mount {
        source: mounted.source.clone(),
        path: mounted.path.clone(),
        filesystem: mounted.filesystem.kind(),
    };
    MOUNTS.lock().iter().map(describe).collect()
}

/// The filesystem that has a normalized path, and the file there.
fn find(path: &str) -> Result<(Arc<dyn Filesystem>, Node), Error> {
    let mounts = MOUNTS.lock();
    let covering = mounts.iter().filter(|mounted| below(path, &mounted.path).is_some());
    let Some(mounted) = covering.max_by_key(|mounted| mounted.path.len()) else {
        return Err(Why::NotFound.at(path));
    };
    let filesystem = mounted.filesystem.clone();
    let rest = String::from(below(path, &mounted.path).unwrap_or_default());
    // Searching may take long, or once even wait for a disk.
    drop(mounts);
    let node = filesystem.find(&rest).map_err(|why| why.at(path))?;
    Ok((filesystem, node))
}

fn look_up(path: &str) -> Result<(String, Arc<dyn Filesystem>, Node), Error> {
    let path = normalize(path)?;
    let (filesystem, node) = find(&path)?;
    Ok((path, filesystem, node))
}

/// A file to read from.
pub struct File {
    path: String,
    filesystem: Arc<dyn Filesystem>,
    node: Node,
}

impl File {
    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.stat().length
    }

    /// What is known about it.
    pub fn stat(&self) -> Stat {
        self.filesystem.stat(self.node)
    }

    /// Copies bytes from `offset` on; says how many, which are fewer than asked for only at the end.
    pub fn read_at(&self, offset: u64, to: &mut [u8]) -> Result<usize, Error> {
        self.filesystem.read_at(self.node, offset, to).map_err(|why| why.at(&self.path))
    }

    /// All of it, in place if that is possible.
    pub fn bytes(&self) -> Result<Bytes, Error> {
        self.filesystem.bytes(self.node).map_err(|why| why.at(&self.path))
    }
}

impl core::fmt::Debug for File {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "File({})", self.path)
    }
}

/// Opens a file.
///
/// # Errors
/// There is none at this path.
pub fn open(path: &str) -> Result<File, Error> {
    let (path, filesystem, node) = look_up(path)?;
    match filesystem.stat(node).kind {
        Kind::File => Ok(File { path, filesystem, node }),
        Kind::Directory => Err(Why::IsADirectory.at(&path)),
        Kind::Link | Kind::Other => Err(Why::NotAFile.at(&path)),
    }
}

/// All bytes of a file, in place if that is possible.
///
/// # Errors
/// There is none at this path, or there is not enough memory.
pub fn bytes(path: &str) -> Result<Bytes, Error> {
    open(path)?.bytes()
}

/// The names in a directory, sorted.
///
/// # Errors
/// There is none at this path.
pub fn list(path: &str) -> Result<Vec<Entry>, Error> {
    let (path, filesystem, node) = look_up(path)?;
    filesystem.list(node).map_err(|why| why.at(&path))
}

/// What is known about a file or directory.
///
/// # Errors
/// There is nothing at this path.
pub fn stat(path: &str) -> Result<Stat, Error> {
    let (_, filesystem, node) = look_up(path)?;
    Ok(filesystem.stat(node))
}
