//! What guests boot: Debian's kernel, busybox, U-Boot of their architecture; and the device trees of boards
//! whose firmware brings none, which are in the kernel's package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, anyhow, bail};

use super::apt::Apt;
use super::initramfs;
use super::sources::Sources;
use crate::arch::Arch;
use crate::context::{Context, make_folder, write};
use crate::gzip;

/// A list of packages: a release of Debian, whatever this machine runs, and an architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct List {
    suite: &'static str,
    architecture: &'static str,
}

impl List {
    /// Debian 13, whose kernel guests boot. Packages for all architectures are in each one's list.
    pub(crate) const fn stable(architecture: &'static str) -> Self {
        Self { suite: "trixie", architecture }
    }

    /// The release before that, which is in the archive still.
    pub(crate) const fn previous(architecture: &'static str) -> Self {
        Self { suite: "bookworm", architecture }
    }

    /// The release after that, for programs of which any version will do.
    pub(crate) const fn next(architecture: &'static str) -> Self {
        Self { suite: "forky", architecture }
    }
}

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
    /// The device tree of the Raspberry Pi 4 B.
    RaspberryPi4Tree,
    /// EDK2, the host's firmware where it is started by EFI.
    Efi,
    /// GRUB as an EFI application.
    Grub,
    /// An OpenSBI that implements SBI 1.0.
    Sbi10,
    /// The newest OpenSBI that there is.
    NextSbi,
}

/// Where in which package an image is.
#[derive(Debug)]
pub(crate) struct Origin {
    pub(crate) image: Image,
    pub(crate) package: &'static str,
    /// Where to look for the package; the next one is only asked if a list cannot be fetched or lacks it. (Mirrors
    /// that carry few architectures have been seen with lists of the others that were out of date.)
    pub(crate) lists: &'static [List],
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
            Self::RaspberryPi4Tree => "bcm2711-rpi-4-b.dtb",
            Self::Efi => "edk2.fd",
            Self::Grub => "grub.efi",
            Self::Sbi10 => "opensbi-sbi-1.0.bin",
            Self::NextSbi => "opensbi-next.bin",
        }
    }

    /// Whether it is only fetched where it is asked for.
    const fn is_seldom(self) -> bool {
        matches!(self, Self::Efi | Self::Grub | Self::Sbi10 | Self::NextSbi)
    }

    /// The file.
    pub(crate) fn path(self, context: &Context, arch: &Arch) -> PathBuf {
        context.images(arch).join(self.name())
    }
}

/// Fetches what is missing and makes the initial RAM file system if it is out of date. Of the images that are
/// seldom used, only those in `more` are looked at.
pub(crate) fn prepare(context: &Context, arch: &Arch, more: &[Image]) -> Result<()> {
    let wanted = |image: Image| !image.is_seldom() || more.contains(&image);
    let is_missing = |origin: &&Origin| wanted(origin.image) && !origin.image.path(context, arch).exists();
    let missing: Vec<&Origin> = arch.origins.iter().filter(is_missing).collect();
    if !missing.is_empty() {
        eprintln!("setting up the images of {} guests from Debian", arch.name);
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
    let mut archive = Archive { context, sources, opened: Vec::new() };
    let versions = context.images(arch).join("VERSIONS");
    let mut left = missing.to_vec();
    while let Some(first) = left.first().copied() {
        // What is in the same package is fetched once.
        let same = |origin: &&Origin| origin.package == first.package && origin.lists == first.lists;
        let (now, later): (Vec<&Origin>, Vec<&Origin>) = left.into_iter().partition(same);
        left = later;
        let Some((package, version)) = archive.fetch(first)? else { continue };
        // Before the first there is no such file.
        let mut known = fs::read_to_string(&versions).unwrap_or_default();
        for origin in now {
            let mut bytes = member(&package, origin.member)?;
            if origin.convert == Convert::FlatKernel {
                bytes = flat_kernel(arch, bytes).with_context(|| {
                    format!("{} of {} is not what was expected", origin.member, origin.package)
                })?;
            }
            write(&origin.image.path(context, arch), &bytes)?;
            // A line for each file; what an older line says of it is out of date.
            let name = format!("{}: ", origin.image.name());
            let others =
                known.lines().filter(|line| !line.starts_with(&name)).map(|line| format!("{line}\n"));
            known = others.chain([format!("{name}{version}\n")]).collect();
        }
        // It is large and no longer needed.
        let _ = fs::remove_file(package);
        write(&versions, known.as_bytes())?;
    }
    Ok(())
}

/// Debian's archive, with the lists of packages that were fetched in this run, or why they were not.
struct Archive<'a> {
    context: &'a Context,
    sources: Sources,
    opened: Vec<(List, Result<Apt<'a>, String>)>,
}

impl<'a> Archive<'a> {
    /// Fetches the package that has an image. Returns its file, and its name and version; none if commands are
    /// only to be shown.
    fn fetch(&mut self, origin: &Origin) -> Result<Option<(PathBuf, String)>> {
        let mut tried = Vec::new();
        for list in origin.lists {
            match self.fetch_from(origin, *list) {
                Ok(fetched) => return Ok(fetched),
                Err(error) => tried.push(format!("{error:#}")),
            }
            if tried.len() < origin.lists.len() {
                eprintln!("  {} will be taken from another release, then", origin.package);
            }
        }
        bail!("{}", tried.join("\n"))
    }

    fn fetch_from(&mut self, origin: &Origin, list: List) -> Result<Option<(PathBuf, String)>> {
        let (context, apt) = (self.context, self.open(list)?);
        if context.dry_run {
            return Ok(None);
        }
        let name = match origin.is_pointer {
            true => apt.first_dependency(origin.package)?,
            false => origin.package.to_owned(),
        };
        let candidate = apt.candidate(&name)?;
        let version = format!("{} {}", candidate.name, candidate.version);
        Ok(Some((apt.download(&candidate)?, version)))
    }

    /// A list of packages, fetched on the first use.
    fn open(&mut self, list: List) -> Result<&Apt<'a>> {
        let place = match self.opened.iter().position(|(known, _)| *known == list) {
            Some(place) => place,
            None => {
                let apt = Apt::foreign(self.context, &self.sources, list.architecture, list.suite);
                self.opened.push((list, apt.map_err(|error| format!("{error:#}"))));
                self.opened.len() - 1
            }
        };
        let (_, apt) = self.opened.get(place).context("the list was just put there")?;
        apt.as_ref().map_err(|why| anyhow!("Debian {}, {}: {why}", list.suite, list.architecture))
    }
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
