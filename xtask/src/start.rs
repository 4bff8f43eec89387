//! The ways in which a machine starts the hypervisor: by QEMU itself, or by firmware that finds it on a disk.
//!
//! The disk is a folder that QEMU shows as a FAT file system.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::arch::Arch;
use crate::context::{Context, make_folder, write};
use crate::setup::Image;

/// Who starts the hypervisor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Start {
    /// QEMU, by the Linux boot protocol.
    #[default]
    Kernel,
    /// EDK2, and GRUB behind it.
    Grub,
    /// U-Boot, by the Linux boot protocol.
    UBoot,
    /// EDK2, as an EFI application.
    Efi,
    /// QEMU, behind an OpenSBI that implements SBI 1.0.
    Sbi10,
    /// QEMU, behind the newest OpenSBI that Debian has.
    NextSbi,
}

/// Where the hypervisor and its archive are on the disk.
const IMAGE: &str = "boot/xvisor.img";
const ARCHIVE: &str = "boot/host.cpio";

impl Start {
    /// The ways by their names.
    const NAMES: &[(&str, Self)] = &[
        ("kernel", Self::Kernel),
        ("grub", Self::Grub),
        ("u-boot", Self::UBoot),
        ("efi", Self::Efi),
        ("sbi-1.0", Self::Sbi10),
        ("sbi-next", Self::NextSbi),
    ];

    /// The way called `name`.
    pub(crate) fn find(name: &str) -> Result<Self> {
        let Some((_, start)) = Self::NAMES.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            bail!("the hypervisor cannot be started by `{name}`, but by: {}", names.join(", "));
        };
        Ok(*start)
    }

    /// The images that it takes.
    pub(crate) const fn images(self) -> &'static [Image] {
        match self {
            Self::Kernel => &[],
            Self::Grub => &[Image::Efi, Image::Grub],
            Self::UBoot => &[Image::UBoot],
            Self::Efi => &[Image::Efi],
            Self::Sbi10 => &[Image::Sbi10],
            Self::NextSbi => &[Image::NextSbi],
        }
    }

    /// What is said of the machine behind its name: EDK2 hands over a device tree only if there is no ACPI.
    pub(crate) const fn machine(self) -> &'static str {
        match self {
            Self::Kernel | Self::UBoot | Self::Sbi10 | Self::NextSbi => "",
            Self::Grub | Self::Efi => ",acpi=off",
        }
    }

    /// Adds QEMU's words, and makes the disk (beside the archive) if there is one.
    pub(crate) fn add_to(
        self,
        context: &Context,
        arch: &Arch,
        qemu: &mut Command,
        files: &Files<'_>,
    ) -> Result<()> {
        if let Some(missing) = self.images().iter().find(|image| arch.origin(**image).is_none()) {
            bail!("on {} there is no {} to start the hypervisor with", arch.name, missing.name());
        }
        if matches!(self, Self::Kernel | Self::Sbi10 | Self::NextSbi) {
            qemu.arg("-kernel").arg(files.image).arg("-initrd").arg(files.archive);
            qemu.args(["-append", files.append]);
            // The machine's firmware, where it is not QEMU's own.
            for firmware in self.images() {
                qemu.arg("-bios").arg(firmware.path(context, arch));
            }
            return Ok(());
        }
        let disk = files.archive.with_extension("disk");
        if context.dry_run {
            eprintln!("# then makes a disk of the folder {}", context.show(&disk));
        } else {
            self.make_disk(context, arch, &disk, files)
                .with_context(|| format!("cannot make the disk {}", context.show(&disk)))?;
        }
        let (firmware, [option, before]) = match self {
            Self::UBoot => (Image::UBoot, arch.emulator.u_boot),
            _ => (Image::Efi, arch.emulator.efi),
        };
        qemu.arg(option).arg(format!("{before}{}", firmware.path(context, arch).display()));
        qemu.arg("-drive").arg(format!("file=fat:rw:{},format=raw,if=virtio", disk.display()));
        Ok(())
    }

    /// Makes the folder of the disk.
    fn make_disk(self, context: &Context, arch: &Arch, disk: &Path, files: &Files<'_>) -> Result<()> {
        // From the last time; on the first there is none.
        let _ = fs::remove_dir_all(disk);
        make_folder(&disk.join("boot"))?;
        let first = |disk: &Path| {
            let folder = disk.join("EFI/BOOT");
            make_folder(&folder).map(|()| folder.join(arch.efi_name))
        };
        fs::copy(files.image, disk.join(IMAGE))?;
        fs::copy(files.archive, disk.join(ARCHIVE))?;
        let text = |name: &str, text: String| write(&disk.join(name), text.as_bytes());
        match self {
            Self::Kernel | Self::Sbi10 | Self::NextSbi => Ok(()),
            Self::Grub => {
                fs::copy(Image::Grub.path(context, arch), first(disk)?)?;
                let lines = format!("linux /{IMAGE} {}\ninitrd /{ARCHIVE}\nboot\n", files.append);
                // Where Debian's GRUB looks.
                text("EFI/debian/grub.cfg", lines)
            }
            Self::UBoot => text(
                "extlinux/extlinux.conf",
                format!(
                    "default xvisor\nlabel xvisor\nkernel /{IMAGE}\ninitrd /{ARCHIVE}\nappend {}\n",
                    files.append
                ),
            ),
            // Nobody is there to give it a command line or an archive.
            Self::Efi => fs::copy(files.image, first(disk)?).map(drop).map_err(Into::into),
        }
    }
}

/// What the machine is started with.
pub(crate) struct Files<'a> {
    pub(crate) image: &'a Path,
    pub(crate) archive: &'a Path,
    /// The hypervisor's command line.
    pub(crate) append: &'a str,
}
