//! The architectures that the hypervisor is built for: one file each, with all in which they differ here.
//!
//! To add one: a file with its [`Arch`], and a line in [`ALL`]. Its privileged part is the crate `arch-NAME` in
//! `arch/NAME`, its guests' trees are in `guests/NAME`, and what is built goes to `build/NAME`.

mod aarch64;
mod riscv64;

use anyhow::{Result, bail};

use crate::bench::peers;
use crate::context::Context;
use crate::setup::{Image, Origin};

/// Every architecture.
pub(crate) const ALL: &[&Arch] = &[&aarch64::ARCH, &riscv64::ARCH];

/// The one of the board that is taken unless another is named.
pub(crate) const DEFAULT: &Arch = &aarch64::ARCH;

/// What is particular to an architecture.
#[derive(Debug)]
pub(crate) struct Arch {
    /// What it is called by Rust, by `uname -m` in a guest, in boards' files and in names of folders.
    pub(crate) name: &'static str,
    /// Rust's target for the hypervisor: one that leaves the guest's floating-point and vector registers alone.
    pub(crate) target: &'static str,
    /// What the compiler is told beyond `.cargo/config.toml` when a program is built, as opposed to checked.
    pub(crate) build_flags: &'static [&'static str],
    /// The magic number of a flat kernel, in the header that the architectures share ([`HEADER_MAGIC`]).
    pub(crate) magic: [u8; 4],
    /// What it is called in the header of EFI applications: `IMAGE_FILE_MACHINE_…`.
    pub(crate) pe_machine: u16,
    /// The name under which EFI firmware looks for an application on a disk.
    pub(crate) efi_name: &'static str,
    pub(crate) emulator: Emulator,
    /// The images, and where in which package each is.
    pub(crate) origins: &'static [Origin],
    /// The board that is taken unless another is named.
    pub(crate) board: &'static str,
    /// The guests' tree that is taken unless another is named: it starts a kernel.
    pub(crate) guest: &'static str,
    /// The tree of the same machine started from its firmware, U-Boot.
    pub(crate) firmware_guest: &'static str,
    /// What Linux calls the first serial port of that machine.
    pub(crate) console: &'static str,
    /// How that machine's further CPUs are started, as `host cpu info` calls it.
    pub(crate) cpu_method: &'static str,
    /// The data register of the UART that QEMU's virt board has.
    pub(crate) uart: u64,
    /// The registers of that board by which CPUs interrupt each other, if they lie in memory.
    pub(crate) ipis: Option<u64>,
    /// What is said of that machine behind its name so that its device tree is the same each time.
    pub(crate) repeatable: &'static str,
    /// The test program's mischiefs that come to an end by themselves.
    pub(crate) ending: &'static [&'static str],
    /// Those that go on until the guest is destroyed.
    pub(crate) endless: &'static [&'static str],
    /// Figures of `bench` by name, and what each must be at most.
    pub(crate) limits: &'static [(&'static str, u64)],
    /// What is known of the same figures of other hypervisors.
    pub(crate) peers: &'static [peers::Row],
}

/// Where the header of a flat kernel has its magic number. Linux's arm64 and riscv headers have the same form up
/// to here (Documentation/arch/arm64/booting.rst, Documentation/arch/riscv/boot-image-header.rst).
pub(crate) const HEADER_MAGIC: usize = 56;

/// QEMU's program for the architecture.
#[derive(Debug)]
pub(crate) struct Emulator {
    pub(crate) program: &'static str,
    /// Debian's packages that may have it: the name that newer releases use comes first.
    pub(crate) packages: &'static [&'static str],
    /// The words that have the machine start U-Boot; its file follows the second.
    pub(crate) u_boot: [&'static str; 2],
    /// The same for EDK2.
    pub(crate) efi: [&'static str; 2],
}

impl Arch {
    /// The architecture called `name`.
    pub(crate) fn find(name: &str) -> Result<&'static Self> {
        let Some(arch) = ALL.iter().find(|arch| arch.name == name) else {
            let names: Vec<&str> = ALL.iter().map(|arch| arch.name).collect();
            bail!("there is no architecture `{name}`; there are: {}", names.join(", "));
        };
        Ok(arch)
    }

    /// Those whose privileged part is in the sources.
    pub(crate) fn present(context: &Context) -> impl Iterator<Item = &'static Self> {
        let folder = context.root.join("arch");
        ALL.iter().copied().filter(move |arch| folder.join(arch.name).join("Cargo.toml").is_file())
    }

    /// The crate of its privileged part.
    pub(crate) fn package(&self) -> String {
        format!("arch-{}", self.name)
    }

    /// Where `image` is to be had.
    pub(crate) fn origin(&self, image: Image) -> Option<&'static Origin> {
        self.origins.iter().find(|origin| origin.image == image)
    }

    /// Whether `bytes` begin with the header of a flat kernel.
    pub(crate) fn is_flat_kernel(&self, bytes: &[u8]) -> bool {
        bytes.get(HEADER_MAGIC..HEADER_MAGIC + self.magic.len()) == Some(&self.magic)
    }
}

impl PartialEq for Arch {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
