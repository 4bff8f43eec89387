//! Where things are, and how chatty to be: what every sub-command is given.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::arch::Arch;
use crate::args::Parsed;

/// The places and the common switches.
pub(crate) struct Context {
    /// The top of the source tree.
    pub(crate) root: PathBuf,
    /// Everything that is made goes here.
    pub(crate) out: PathBuf,
    /// Print each command before it runs.
    pub(crate) verbose: bool,
    /// Print the commands and run none.
    pub(crate) dry_run: bool,
    /// The output folder was named by the user: cargo's target folder goes there too.
    own_output: bool,
}

impl Context {
    /// Reads the common options; makes no folder yet.
    pub(crate) fn new(parsed: &Parsed) -> Result<Self> {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest.parent().context("xtask does not stand in the source tree")?.to_path_buf();
        let out = match parsed.value("output") {
            Some(folder) => std::path::absolute(folder)?,
            None => root.join("build"),
        };
        let dry_run = parsed.flag("dry-run");
        Ok(Self {
            root,
            out,
            verbose: parsed.flag("verbose") || dry_run,
            dry_run,
            own_output: parsed.value("output").is_some(),
        })
    }

    /// What was fetched: nothing here is made from the sources.
    pub(crate) fn cache(&self) -> PathBuf {
        self.out.join("cache")
    }

    /// Guest kernels, initial RAM disks, firmware and board device trees of an architecture, ready to use.
    pub(crate) fn images(&self, arch: &Arch) -> PathBuf {
        self.out.join("images").join(arch.name)
    }

    /// Cargo's target folder, as cargo itself chooses it.
    pub(crate) fn target(&self) -> PathBuf {
        if self.own_output {
            return self.out.join("target");
        }
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// Keeps a second process that works in `folder` waiting until the first is done. The lock goes when the file is
    /// dropped.
    pub(crate) fn alone_in(&self, folder: &Path) -> Result<File> {
        make_folder(folder)?;
        let path = folder.join("lock");
        let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            eprintln!("another cargo xtask works in {}: waiting for it", self.show(folder));
        }
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        Ok(file)
    }

    /// `path` as a person wants to read it: relative to the source tree where it lies inside.
    pub(crate) fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

/// Makes `folder` and those above it.
pub(crate) fn make_folder(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// Reads a whole file, or says which one could not be read.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Reads a whole text file, or says which one could not be read.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `bytes` so that `path` is always either the old file or the whole new one.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, bytes)
        .and_then(|()| fs::rename(&partial, path))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Like [`write()`], but leaves a file alone that has these bytes already, so that nothing that depends
/// on its time is made again.
pub(crate) fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    write(path, bytes)
}

/// Whether `made` exists and is no older than any of `sources`.
pub(crate) fn is_fresh(made: &Path, sources: &[PathBuf]) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|data| data.modified()).ok();
    let Some(made) = time(made) else { return false };
    sources.iter().all(|source| time(source).is_some_and(|source| source <= made))
}
