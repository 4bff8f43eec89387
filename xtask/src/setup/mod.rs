//! `cargo xtask setup`: the toolchain's target, QEMU and `dtc`, and the guests' images.
//!
//! Everything is looked for first and fetched only if it is missing, so that a second time takes
//! no network and next to no time.

mod apt;
mod guest;
mod host;
mod initramfs;
mod miri;
mod sources;
pub(crate) mod toolchain;

use anyhow::Result;

use crate::arch::{self, Arch};
use crate::args::{Command, Parsed};
use crate::build;
use crate::context::Context;

pub(crate) use guest::{Convert, Image, List, Origin};
pub(crate) use miri::Miri;

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "setup",
    summary: "Get what building and running need, where it is missing",
    about: "\
Looks for each of these and fetches what is not there. `run`, `test` and `bench` do it by themselves,
so this is only needed to prepare a machine that will have no network later.

1. Rust's core library for the hypervisor's target. The first way that works is taken:
   the target is installed already; `rustup target add`; built from source with the rust-src of
   exactly this compiler (rustup's, or Debian's package, linked where rustup's would be); Debian's
   own matched set of compiler and sources (apt-get, as root or with sudo).
2. qemu-system-aarch64 (10.0 or later where the release or its backports have it) and dtc, with
   apt-get as root or with sudo. The machine's own package sources are read, not changed.
3. Debian's arm64 kernel, busybox and U-Boot for the guests (about 100 MB to fetch), EDK2, GRUB and,
   for RISC-V, other versions of OpenSBI that the tests start from, unpacked into build/images. Nothing of a foreign architecture is installed on this machine.
4. Miri, for the tests of host/, where there is rustup: its `nightly` if that has it, or else one
   that is fetched into build/cache (about 160 MB). `test` goes on without it.

With `--board`, all of this for that board's architecture instead.",
    options: &[build::BOARD],
    operands: "",
    examples: &[
        ("cargo xtask setup", "everything for arm64"),
        ("cargo xtask setup --board qemu-riscv64-virt", "everything for RISC-V"),
    ],
    run: |context, parsed: &Parsed| {
        let arch = build::board(context, parsed)?.map_or(arch::DEFAULT, |board| board.arch);
        toolchain::prepare(context, arch)?;
        let images: Vec<Image> = arch.origins.iter().map(|origin| origin.image).collect();
        prepare_machine(context, arch, &images)?;
        if let Err(why) = Miri::prepare(context) {
            eprintln!("without Miri: {why:#}");
        }
        eprintln!("everything is there");
        Ok(())
    },
};

/// Gets an architecture's emulator and its guests' images, and `more` that are not always needed.
pub(crate) fn prepare_machine(context: &Context, arch: &Arch, more: &[Image]) -> Result<()> {
    let _alone = context.alone_in(&context.cache())?;
    host::prepare(context, &arch.emulator)?;
    guest::prepare(context, arch, more)
}

/// Gets the programs alone: tests of the crates compile the guests' trees.
pub(crate) fn prepare_programs(context: &Context) -> Result<()> {
    let _alone = context.alone_in(&context.cache())?;
    host::prepare(context, &arch::DEFAULT.emulator)
}
