//! `cargo xtask build`: the hypervisor as a flat Linux `Image` with its own symbol table.

mod flat;
mod pe;
mod symbols;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::arch::{self, Arch};
use crate::args::{Command, Opt, Parsed};
use crate::board::Board;
use crate::context::{Context, read, write_if_changed};
use crate::setup::toolchain;
use crate::shell;

/// What the option `--board` of several sub-commands says.
pub(crate) const BOARD: Opt = Opt::value("board", "NAME", "for the architecture of this board (virt-gicv3)");

/// The board that was named, if one was.
pub(crate) fn board(context: &Context, parsed: &Parsed) -> Result<Option<Board>> {
    parsed.value("board").map(|name| Board::load(context, name)).transpose()
}

/// What the options `--release` and `--debug` of several sub-commands say.
pub(crate) const RELEASE: Opt =
    Opt::switch("release", "optimized, for the image's real size and speed (the default)");
/// The other one.
pub(crate) const DEBUG: Opt =
    Opt::switch("debug", "with debug assertions, lock-rank checks and less optimization");

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "build",
    summary: "Build the hypervisor's image",
    about: "\
Builds the crate `xvisor` for the hypervisor's target with ordinary cargo, lays the ELF file's segments
out as a flat file, which is a Linux Image of its architecture (QEMU -kernel and U-Boot booti start it) and
an EFI application (which GRUB and EFI firmware start), and puts the table of function names behind it, from which a panic's backtrace takes its names.

It makes build/aarch64/release/xvisor.img, and xvisor.elf beside it for a debugger. One image runs on all
boards of an architecture.",
    options: &[BOARD, RELEASE, DEBUG],
    operands: "",
    examples: &[
        ("cargo xtask build", "build/aarch64/release/xvisor.img"),
        ("cargo xtask build --board qemu-riscv64-virt", "build/riscv64/release/xvisor.img"),
        ("cargo xtask build --debug --verbose", "a debug build, showing the cargo command"),
        ("cargo xtask build --output /tmp/x", "leave the source tree untouched"),
    ],
    run: |context, parsed| {
        let arch = board(context, parsed)?.map_or(arch::DEFAULT, |board| board.arch);
        build(context, arch, Profile::chosen(parsed)?).map(drop)
    },
};

/// How the hypervisor is compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Profile {
    /// `--release`
    Release,
    /// `--debug`
    Debug,
}

impl Profile {
    /// What the options say; release if they say nothing.
    pub(crate) fn chosen(parsed: &Parsed) -> Result<Self> {
        match (parsed.flag("release"), parsed.flag("debug")) {
            (true, true) => anyhow::bail!("--release and --debug exclude each other"),
            (_, true) => Ok(Self::Debug),
            _ => Ok(Self::Release),
        }
    }

    /// The folder's name, as cargo has it.
    const fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}

/// Files of a build.
pub(crate) struct Built {
    /// The flat image.
    pub(crate) image: PathBuf,
    /// The ELF file that it was made from.
    pub(crate) elf: PathBuf,
}

/// Builds the hypervisor.
pub(crate) fn build(context: &Context, arch: &Arch, profile: Profile) -> Result<Built> {
    package(context, arch, profile, "xvisor", "xvisor")
}

/// Builds the program that guests run in tests and benches, and returns its image.
pub(crate) fn test_guest(context: &Context, arch: &Arch) -> Result<PathBuf> {
    Ok(package(context, arch, Profile::Release, TEST_GUESTS, "test-guest")?.image)
}

/// The package of the program that guests run in tests and benches.
pub(crate) const TEST_GUESTS: &str = "test-guests";

/// Whether that program has been written for this architecture.
pub(crate) fn has_test_guest(context: &Context, arch: &Arch) -> bool {
    context.root.join("tests/guests/src").join(arch.name).join("mod.rs").is_file()
}

/// Builds the program `binary` of a package, lays it out flat, and prints its sizes.
fn package(context: &Context, arch: &Arch, profile: Profile, package: &str, binary: &str) -> Result<Built> {
    let toolchain = toolchain::prepare(context, arch)?;
    let mut cargo = toolchain.cargo_for_target(context, "build");
    cargo.args(["--package", package]);
    if !arch.build_flags.is_empty() {
        // Cargo adds them to those of its own file.
        cargo.args(["--config", &format!("target.{}.rustflags={:?}", arch.target, arch.build_flags)]);
    }
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    shell::run(context, &mut cargo)?;

    let folder = context.out.join(arch.name).join(profile.folder());
    let built =
        Built { image: folder.join(format!("{binary}.img")), elf: folder.join(format!("{binary}.elf")) };
    if context.dry_run {
        eprintln!("# then packs the ELF file's segments and symbols into {}", context.show(&built.image));
        return Ok(built);
    }
    let made = context.target().join(arch.target).join(profile.folder()).join(binary);
    let elf = read(&made)?;
    let (image, sizes) = flat::image(arch, &elf).with_context(|| format!("in {}", context.show(&made)))?;
    write_if_changed(&built.elf, &elf)?;
    write_if_changed(&built.image, &image)?;
    eprintln!("{}: {sizes}", context.show(&built.image));
    Ok(built)
}
