//! `cargo xtask build`: the hypervisor as a flat arm64 `Image` with its own symbol table.

mod flat;
mod symbols;

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::args::{Command, Opt, Parsed};
use crate::context::{Context, read, write_if_changed};
use crate::setup::toolchain::{self, TARGET};
use crate::shell;

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
out as a flat file, which is a Linux arm64 Image (QEMU -kernel, U-Boot booti and GRUB linux start it),
and puts the table of function names behind it, from which a panic's backtrace takes its names.

It makes build/aarch64/release/xvisor.img, and xvisor.elf beside it for a debugger.",
    options: &[RELEASE, DEBUG],
    operands: "",
    examples: &[
        ("cargo xtask build", "build/aarch64/release/xvisor.img"),
        ("cargo xtask build --debug --verbose", "a debug build, showing the cargo command"),
        ("cargo xtask build --output /tmp/x", "leave the source tree untouched"),
    ],
    run: |context, parsed| build(context, Profile::chosen(parsed)?).map(drop),
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
pub(crate) fn build(context: &Context, profile: Profile) -> Result<Built> {
    package(context, profile, "xvisor", "xvisor")
}

/// Builds the program that guests run in tests and benches, and returns its image.
pub(crate) fn test_guest(context: &Context) -> Result<PathBuf> {
    Ok(package(context, Profile::Release, "test-guests", "test-guest")?.image)
}

/// Builds the program `binary` of a package, lays it out flat, and prints its sizes.
fn package(context: &Context, profile: Profile, package: &str, binary: &str) -> Result<Built> {
    let toolchain = toolchain::prepare(context)?;
    let mut cargo = toolchain.cargo_for_target(context, "build");
    cargo.args(["--package", package]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    shell::run(context, &mut cargo)?;

    let folder = context.out.join("aarch64").join(profile.folder());
    let built =
        Built { image: folder.join(format!("{binary}.img")), elf: folder.join(format!("{binary}.elf")) };
    if context.dry_run {
        eprintln!("# then packs the ELF file's segments and symbols into {}", context.show(&built.image));
        return Ok(built);
    }
    let made = context.target().join(TARGET).join(profile.folder()).join(binary);
    let elf = read(&made)?;
    let (image, sizes) = flat::image(&elf).with_context(|| format!("in {}", context.show(&made)))?;
    write_if_changed(&built.elf, &elf)?;
    write_if_changed(&built.image, &image)?;
    eprintln!("{}: {sizes}", context.show(&built.image));
    Ok(built)
}
