//! What guests boot: Debian's kernel, busybox, U-Boot of their architecture; and the device trees of boards
//! whose firmware brings none, which are in the kernel's package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt::{Apt, Candidate};
use super::initramfs;
use super::sources::Sources;
use crate::arch::Arch;
use crate::context::{Context, make_folder, write};
use crate::gzip;

/// The release that guests are taken from, whatever this machine runs.
const SUITE: &str = "trixie";

/// A file in an architecture's folder of images.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Image {
    /// Linux as a flat `Image`.
    Linux,
    /// The guests' initial RAM file system, made here from busybox and `guests/initramfs`.
    Initrd,
    /// U-Boot for QEMU's virt board.
    UBoot,
    /// The static busybox that goes into the initial RAM file system.
    Busybox,
    /// The device tree of the ZCU102.
    Zcu102Tree,
}

/// Where in which package an image is.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) image: Image,
    pub(crate) package: &'static str,
    /// The package only names another one, whose name carries a version.
    pub(crate) is_pointer: bool,
    /// A pattern for tar.
    pub(crate) member: &'static str,
    pub(crate) convert: Convert,
}

/// What is done to a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Convert {
    /// They are what is wanted.
    Nothing,
    /// A kernel is taken out of what it is wrapped in.
    FlatKernel,
}

impl Image {
    /// The file's name in the images' folder.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Initrd => "initrd.gz",
            Self::UBoot => "u-boot.bin",
            Self::Busybox => "busybox",
            Self::Zcu102Tree => "zynqmp-zcu102-rev1.0.dtb",
        }
    }

    /// The file.
    pub(crate) fn path(self, context: &Context, arch: &Arch) -> PathBuf {
        context.images(arch).join(self.name())
    }
}

/// Fetches what is missing and makes the initial RAM file system if it is out of date.
pub(crate) fn prepare(context: &Context, arch: &Arch) -> Result<()> {
    let missing: Vec<&Origin> =
        arch.origins.iter().filter(|origin| !origin.image.path(context, arch).exists()).collect();
    if !missing.is_empty() {
        eprintln!("setting up the guests' images from Debian {SUITE}, {}", arch.debian);
        fetch(context, arch, &missing).with_context(|| {
            let names: Vec<&str> = missing.iter().map(|origin| origin.image.name()).collect();
            format!(
                "could not get {}.\nWithout a network, copy these files from another machine into {}",
                names.join(", "),
                context.show(&context.images(arch))
            )
        })?;
    }
    if context.dry_run {
        return Ok(());
    }
    initramfs::make(context, &Image::Busybox.path(context, arch), &Image::Initrd.path(context, arch))
}

fn fetch(context: &Context, arch: &Arch, missing: &[&Origin]) -> Result<()> {
    let sources = Sources::of_this_machine().context(
        "this machine has no package sources of a Debian release from which to tell where to fetch",
    )?;
    let apt = Apt::foreign(context, &sources, arch.debian, SUITE)?;
    if context.dry_run {
        return Ok(());
    }
    let mut packages: Vec<(&str, Candidate)> = Vec::new();
    for origin in missing {
        if packages.iter().all(|(package, _)| *package != origin.package) {
            let real = if origin.is_pointer {
                apt.first_dependency(origin.package)?
            } else {
                origin.package.to_owned()
            };
            packages.push((origin.package, apt.candidate(&real)?));
        }
    }
    let (names, candidates): (Vec<&str>, Vec<Candidate>) = packages.into_iter().unzip();
    let files = apt.download(&candidates)?;
    for origin in missing {
        let place = names.iter().position(|name| *name == origin.package);
        let file = place.and_then(|place| files.get(place)).context("a package was not fetched")?;
        let mut bytes = member(file, origin.member)?;
        if origin.convert == Convert::FlatKernel {
            bytes = flat_kernel(arch, bytes).with_context(|| {
                format!("{} of {} is not what was expected", origin.member, origin.package)
            })?;
        }
        write(&origin.image.path(context, arch), &bytes)?;
    }
    let versions: Vec<String> =
        candidates.iter().map(|package| format!("{} {}\n", package.name, package.version)).collect();
    write(&context.images(arch).join("VERSIONS"), versions.concat().as_bytes())?;
    for file in files {
        // They are large and no longer needed.
        let _ = fs::remove_file(file);
    }
    Ok(())
}

/// The bytes of the only file in a Debian package that the pattern matches.
fn member(package: &Path, pattern: &str) -> Result<Vec<u8>> {
    let folder = package.with_extension("unpacked");
    let _ = fs::remove_dir_all(&folder);
    make_folder(&folder)?;
    let mut list = Command::new("dpkg-deb");
    list.arg("--fsys-tarfile").arg(package).stdout(std::process::Stdio::piped());
    let mut list = list.spawn().context("cannot start dpkg-deb")?;
    let tar = list.stdout.take().context("dpkg-deb has no output")?;
    let mut unpack = Command::new("tar");
    unpack.args(["-x", "--no-same-owner", "--wildcards", "-C"]).arg(&folder).arg(pattern).stdin(tar);
    let unpacked = unpack.status().context("cannot start tar")?.success();
    let listed = list.wait()?.success();
    if !listed || !unpacked {
        bail!("the package {} has no {pattern}", package.display());
    }
    let found = Command::new("find").arg(&folder).args(["-type", "f"]).output()?.stdout;
    let file = String::from_utf8_lossy(&found).lines().next().map(PathBuf::from);
    let bytes =
        crate::context::read(&file.with_context(|| format!("no {pattern} in {}", package.display()))?)?;
    let _ = fs::remove_dir_all(&folder);
    Ok(bytes)
}

/// Takes a kernel out of the wrappings that distributions put around it: gzip, EFI's zboot.
fn flat_kernel(arch: &Arch, bytes: Vec<u8>) -> Result<Vec<u8>> {
    if arch.is_flat_kernel(&bytes) {
        return Ok(bytes);
    }
    if gzip::is_gzip(&bytes) {
        return flat_kernel(arch, gzip::unpack(&bytes)?);
    }
    if bytes.starts_with(b"MZ") && bytes.get(4..8) == Some(b"zimg") {
        let word = |at: usize| {
            let field = bytes.get(at..at + 4)?;
            Some(u32::from_le_bytes(field.try_into().ok()?) as usize)
        };
        let (begin, size) = word(8).zip(word(12)).context("the zboot header is cut off")?;
        let payload = bytes.get(begin..begin.saturating_add(size)).context("the zboot payload is cut off")?;
        return flat_kernel(arch, gzip::unpack(payload)?);
    }
    bail!("this is no kernel for {}: neither an Image, nor one in gzip or in EFI's zboot form", arch.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::{ALL, DEFAULT};

    fn kernel(arch: &Arch) -> Vec<u8> {
        let mut kernel = vec![7; 200];
        kernel[56..60].copy_from_slice(&arch.magic);
        kernel
    }

    #[test]
    fn kernels_are_unwrapped() {
        ALL.iter().for_each(|arch| is_unwrapped(arch));
    }

    fn is_unwrapped(arch: &Arch) {
        let kernel = kernel(arch);
        let packed = gzip::pack(&kernel);
        let mut zboot = b"MZ\0\0zimg".to_vec();
        zboot.extend(64u32.to_le_bytes());
        zboot.extend((packed.len() as u32).to_le_bytes());
        zboot.resize(64, 0);
        zboot.extend(&packed);
        for wrapped in [kernel.clone(), packed, zboot] {
            assert_eq!(flat_kernel(arch, wrapped).unwrap(), kernel);
        }
    }

    #[test]
    fn what_is_no_kernel_is_refused() {
        assert!(flat_kernel(DEFAULT, b"hello".to_vec()).is_err());
        assert!(flat_kernel(DEFAULT, kernel(ALL[1])).is_err());
        assert!(flat_kernel(DEFAULT, b"MZ\0\0zimg\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()).is_err());
    }
}
