//! The guests' initial RAM file system: busybox, links for its commands, and `guests/initramfs`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::context::{Context, is_fresh, read, read_text, write};
use crate::cpio::Archive;
use crate::gzip;

/// Folders that the file system has from the beginning; the others are mounted by `init`.
const FOLDERS: &[&str] = &["/bin", "/dev", "/etc", "/proc", "/root", "/sys", "/tmp"];

/// Makes it from `busybox` if it is older than what it is made from.
pub(crate) fn make(context: &Context, busybox: &Path, made: &Path) -> Result<()> {
    let inputs = context.root.join("guests/initramfs");
    let [init, profile, applets] = ["init", "profile", "applets"].map(|name| inputs.join(name));
    let sources: Vec<PathBuf> = vec![busybox.to_path_buf(), init.clone(), profile.clone(), applets.clone()];
    if is_fresh(made, &sources) {
        return Ok(());
    }
    let applets = read_text(&applets)?;
    let applets = applets.lines().filter(|line| !line.starts_with('#')).flat_map(str::split_whitespace);
    let mut archive = Archive::default();
    for folder in FOLDERS {
        archive.folder(folder);
    }
    archive.device("/dev/console", 5, 1);
    archive.device("/dev/null", 1, 3);
    archive.file("/bin/busybox", 0o755, &read(busybox)?);
    for applet in applets {
        archive.link(&format!("/bin/{applet}"), "busybox");
    }
    archive.file("/init", 0o755, &read(&init)?);
    archive.file("/etc/profile", 0o644, &read(&profile)?);
    write(made, &gzip::pack(&archive.finish())).context("the guests' initial RAM file system cannot be made")
}
