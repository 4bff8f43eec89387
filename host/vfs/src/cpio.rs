//! A cpio archive as a filesystem: an index over the archive, which stays where it is.

use core::ops::Range;

use alloc::string::String;
use alloc::vec::Vec;
use image::cpio::{self, FileKind};

use crate::bytes::Bytes;
use crate::error::Why;
use crate::filesystem::{Entry, Filesystem, Kind, Node, Stat};
use crate::path::join;

/// What this kind of filesystem is called.
pub(crate) const KIND: &str = "cpio";
/// How many symbolic links are followed on the way to one file.
const MOST_LINKS: usize = 8;
/// The root directory's place among the files.
const ROOT: usize = 0;

/// A cpio archive.
pub(crate) struct Cpio {
    archive: Bytes,
    files: Vec<Indexed>,
}

struct Indexed {
    /// Where the archive has the name.
    name: Range<usize>,
    /// Where it has the content, or the target of a link.
    data: Range<usize>,
    stat: Stat,
    /// A directory's files, sorted by name.
    files: Vec<usize>,
}

impl Cpio {
    /// Indexes an archive.
    pub(crate) fn new(archive: Bytes) -> Result<Self, Why> {
        let mut new = Self { archive: archive.clone(), files: Vec::new() };
        new.push(0..0, DIRECTORY)?;
        for entry in cpio::entries(&archive) {
            new.add(&entry.map_err(|error| Why::Corrupt(error.what))?)?;
        }
        Ok(new)
    }

    fn push(&mut self, name: Range<usize>, stat: Stat) -> Result<usize, Why> {
        self.files.try_reserve(1).map_err(|_| Why::NoMemory)?;
        self.files.push(Indexed { name, data: 0..0, stat, files: Vec::new() });
        Ok(self.files.len() - 1)
    }

    /// Adds an entry and the directories on the way that the archive did not name. The same name again
    /// replaces what it stood for, as it would when the archive is unpacked.
    fn add(&mut self, entry: &cpio::Entry<'_>) -> Result<(), Why> {
        let mut at = ROOT;
        for name in entry.name.split('/').filter(|name| !matches!(*name, "" | ".")) {
            if name == ".." {
                return Err(Why::Corrupt("a name leads out of the archive"));
            }
            let directory = self.file(at)?;
            if directory.stat.kind != Kind::Directory {
                return Err(Why::Corrupt("a file has files"));
            }
            at = match self.place(directory, name) {
                Ok(file) => file,
                Err(place) => {
                    let range = self.range(name.as_bytes());
                    let file = self.push(range, DIRECTORY)?;
                    let files = &mut self.files.get_mut(at).ok_or(Why::NotFound)?.files;
                    files.try_reserve(1).map_err(|_| Why::NoMemory)?;
                    files.insert(place, file);
                    file
                }
            };
        }
        let data = self.range(entry.data);
        let file = self.files.get_mut(at).ok_or(Why::NotFound)?;
        let kind = match entry.kind() {
            FileKind::Directory => Kind::Directory,
            FileKind::Regular => Kind::File,
            FileKind::Symlink => Kind::Link,
            FileKind::Special => Kind::Other,
        };
        if kind != Kind::Directory && !file.files.is_empty() {
            return Err(Why::Corrupt("a file has files"));
        }
        file.stat = Stat {
            kind,
            length: data.len() as u64,
            permissions: (entry.mode & 0o7777) as u16,
            modified: u64::from(entry.modified),
        };
        file.data = data;
        Ok(())
    }

    /// Where in the archive a part of it lies.
    fn range(&self, part: &[u8]) -> Range<usize> {
        let start = part.as_ptr().addr().wrapping_sub(self.archive.as_ptr().addr());
        start..start.wrapping_add(part.len())
    }

    fn text(&self, range: &Range<usize>) -> &str {
        self.archive.get(range.clone()).and_then(|bytes| core::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn file(&self, index: usize) -> Result<&Indexed, Why> {
        self.files.get(index).ok_or(Why::NotFound)
    }

    /// The file with this name in a directory, or where it would have to be put.
    fn place(&self, directory: &Indexed, name: &str) -> Result<usize, usize> {
        directory
            .files
            .binary_search_by(|file| self.file(*file).map_or("", |file| self.text(&file.name)).cmp(name))
            .map(|place| directory.files.get(place).copied().unwrap_or(ROOT))
    }

    fn content(&self, node: Node) -> Result<&Indexed, Why> {
        let file = self.file(usize::try_from(node.0).map_err(|_| Why::NotFound)?)?;
        match file.stat.kind {
            Kind::File => Ok(file),
            Kind::Directory => Err(Why::IsADirectory),
            Kind::Link | Kind::Other => Err(Why::NotAFile),
        }
    }
}

const DIRECTORY: Stat = Stat { kind: Kind::Directory, length: 0, permissions: 0o755, modified: 0 };

impl Filesystem for Cpio {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn find(&self, path: &str) -> Result<Node, Why> {
        let mut path = join(String::new(), path);
        'links: for _ in 0..=MOST_LINKS {
            let mut at = ROOT;
            let mut passed = 0;
            for name in path.split('/').filter(|name| !name.is_empty()) {
                let directory = self.file(at)?;
                if directory.stat.kind != Kind::Directory {
                    return Err(Why::NotADirectory);
                }
                at = self.place(directory, name).map_err(|_| Why::NotFound)?;
                let file = self.file(at)?;
                if file.stat.kind == Kind::Link {
                    let target = self.text(&file.data);
                    let (before, link) = path.split_at(passed);
                    let after = link.get(1 + name.len()..).unwrap_or_default();
                    let base = if target.starts_with('/') { "" } else { before };
                    path = join(join(String::from(base), target), after);
                    continue 'links;
                }
                passed += 1 + name.len();
            }
            return Ok(Node(at as u64));
        }
        Err(Why::TooManyLinks)
    }

    fn stat(&self, node: Node) -> Stat {
        self.files.get(node.0 as usize).map_or(DIRECTORY, |file| file.stat)
    }

    fn list(&self, node: Node) -> Result<Vec<Entry>, Why> {
        let directory = self.file(usize::try_from(node.0).map_err(|_| Why::NotFound)?)?;
        if directory.stat.kind != Kind::Directory {
            return Err(Why::NotADirectory);
        }
        let files = directory.files.iter().filter_map(|file| self.files.get(*file));
        Ok(files.map(|file| Entry { name: String::from(self.text(&file.name)), stat: file.stat }).collect())
    }

    fn read_at(&self, node: Node, offset: u64, to: &mut [u8]) -> Result<usize, Why> {
        let data = self.archive.get(self.content(node)?.data.clone()).unwrap_or_default();
        let rest = usize::try_from(offset).ok().and_then(|offset| data.get(offset..)).unwrap_or_default();
        let length = rest.len().min(to.len());
        if let (Some(from), Some(to)) = (rest.get(..length), to.get_mut(..length)) {
            to.copy_from_slice(from);
        }
        Ok(length)
    }

    fn bytes(&self, node: Node) -> Result<Bytes, Why> {
        Ok(self.archive.slice(self.content(node)?.data.clone()))
    }
}
