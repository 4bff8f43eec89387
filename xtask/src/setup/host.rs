//! The programs that run on this machine: QEMU, `dtc` and `cpp`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt::{Apt, Origin};
use super::sources::Sources;
use crate::arch::Emulator;
use crate::context::{Context, write};
use crate::shell;

/// What everything was tried with, and what `test` and `bench` count on.
const QEMU_WANTED: u32 = 10;

/// Boots guests too, though with fewer CPU models and no figures to compare.
const QEMU_ENOUGH: (u32, u32) = (7, 2);

/// A program and the Debian package that has it.
const TOOLS: &[(&str, &str)] = &[("dtc", "device-tree-compiler"), ("cpp", "cpp")];

/// Installs what is missing.
pub(crate) fn prepare(context: &Context, emulator: &Emulator) -> Result<()> {
    let packages: Vec<&str> = TOOLS
        .iter()
        .filter(|(tool, _)| shell::find_program(tool).is_none())
        .map(|(_, package)| *package)
        .collect();
    let version = qemu_version(emulator);
    // An older QEMU is replaced if that can be done, and that is tried once.
    let tried = context.cache().join(format!("{}-stays-old", emulator.program));
    let want_qemu = match version {
        Some((major, _)) if major >= QEMU_WANTED => false,
        Some(version) => version < QEMU_ENOUGH || !tried.exists(),
        None => true,
    };
    if !want_qemu && packages.is_empty() {
        return Ok(());
    }
    eprintln!("setting up QEMU and the device tree compiler");
    let only_renew = version.is_some_and(|version| version >= QEMU_ENOUGH) && packages.is_empty();
    match install(context, packages, want_qemu.then_some(emulator)) {
        Ok(()) if context.dry_run => return Ok(()),
        Err(error) if only_renew => {
            eprintln!("  QEMU could not be renewed, so the one that is here stays: {error:#}");
        }
        result => result?,
    }
    let program = emulator.program;
    match qemu_version(emulator) {
        None => bail!("QEMU was installed, but `{program} --version` does not work"),
        Some(version) if version < QEMU_ENOUGH => {
            bail!(
                "{program} {}.{} is too old: {}.{} is the least",
                version.0,
                version.1,
                QEMU_ENOUGH.0,
                QEMU_ENOUGH.1
            )
        }
        Some((major, minor)) if major < QEMU_WANTED => {
            eprintln!(
                "  this is QEMU {major}.{minor}: enough to run; {QEMU_WANTED}.0 is what the tests are made for"
            );
            write(&tried, b"")
        }
        Some(_) => Ok(()),
    }
}

/// Installs these packages, and the emulator's if that is wanted.
fn install(context: &Context, mut packages: Vec<&str>, emulator: Option<&Emulator>) -> Result<()> {
    let sources = Sources::of_this_machine().with_context(|| {
        let emulator = emulator.map(|emulator| format!("{} {QEMU_WANTED}.0 or later", emulator.program));
        let names: Vec<&str> = packages.iter().copied().chain(emulator.as_deref()).collect();
        format!(
            "this machine has no package sources of a Debian release. Install by hand, and try again: {}",
            names.join(", ")
        )
    })?;
    let apt = Apt::for_this_machine(context, &sources)?;
    let mut origin = Origin::Release;
    if let Some(emulator) = emulator {
        let mut known: Vec<(&str, String, Origin)> = Vec::new();
        for package in emulator.packages {
            known.extend(apt.versions(package).into_iter().map(|(version, from)| (*package, version, from)));
        }
        let new = known.iter().find(|(_, version, _)| debian_major(version) >= Some(QEMU_WANTED));
        let (package, _, from) = new
            .or(known.first())
            .with_context(|| format!("the archive has no package with {}", emulator.program))?;
        packages.push(package);
        origin = *from;
    }
    apt.install(&packages, origin, &sources)
}

/// `1:10.0.2+ds-2` → 10.
fn debian_major(version: &str) -> Option<u32> {
    let upstream = version.split_once(':').map_or(version, |(_, rest)| rest);
    upstream.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The version of the installed emulator, major and minor.
fn qemu_version(emulator: &Emulator) -> Option<(u32, u32)> {
    let text = shell::ask(Command::new(emulator.program).arg("--version")).ok()?;
    let mut numbers = text.split_once("version ")?.1.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_versions_are_read_behind_the_epoch() {
        assert_eq!(debian_major("1:10.0.2+ds-2+deb13u1~bpo12+1"), Some(10));
        assert_eq!(debian_major("7.2+dfsg-7"), Some(7));
        assert_eq!(debian_major("x"), None);
    }
}
