//! Rust's core library for the hypervisor's targets, in the first of four ways that works:
//!
//! 1. the target is installed;
//! 2. rustup installs it;
//! 3. it is built from source, with the rust-src of exactly this compiler: rustup's, or else Debian's package of
//!    that version, unpacked into the output folder and linked where rustup's would be;
//! 4. Debian's own compiler builds it from Debian's sources.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::apt::{Apt, Origin};
use super::sources::Sources;
use crate::arch::Arch;
use crate::context::{Context, make_folder, read_text};
use crate::shell;

/// A cargo that can build for an architecture's target.
#[derive(Debug)]
pub(crate) struct Toolchain {
    target: &'static str,
    cargo: PathBuf,
    /// The compiler, where it is not the one that cargo would take by itself.
    rustc: Option<PathBuf>,
    /// Core and alloc are built from source.
    build_std: bool,
    /// The compiler comes without the linker that the target asks for: use LLVM's own.
    foreign_linker: bool,
}

/// LLVM's linker under the name of its package.
const LINKER: &str = "ld.lld";

impl Toolchain {
    /// A cargo command for this machine itself.
    pub(crate) fn cargo(context: &Context) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&context.root);
        if context.target() != context.root.join("target") {
            command.env("CARGO_TARGET_DIR", context.target());
        }
        command
    }

    /// `cargo VERB --target …`.
    pub(crate) fn cargo_for_target(&self, context: &Context, verb: &str) -> Command {
        let mut command = Self::cargo(context);
        if let Some(rustc) = &self.rustc {
            let mut debian = Command::new(&self.cargo);
            debian.current_dir(&context.root).env("RUSTC", rustc).env("CARGO_TARGET_DIR", context.target());
            command = debian;
        }
        command.arg(verb).args(["--target", self.target]);
        if self.foreign_linker {
            let name = self.target.to_ascii_uppercase().replace('-', "_");
            command.env(format!("CARGO_TARGET_{name}_LINKER"), LINKER);
        }
        if self.build_std {
            command.env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=core,alloc");
            // What the report would tell is about core itself.
            command.env("CARGO_FUTURE_INCOMPAT_REPORT_FREQUENCY", "never");
        }
        command
    }
}

/// Finds a toolchain for the architecture's target, and gets what is missing.
pub(crate) fn prepare(context: &Context, arch: &Arch) -> Result<Toolchain> {
    let target = arch.target;
    let cargo = PathBuf::from(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let sysroot = sysroot(context, Path::new("rustc"))?;
    let plain = |build_std| {
        let foreign_linker = needs_linker(context, &sysroot)?;
        Ok(Toolchain { target, cargo: cargo.clone(), rustc: None, build_std, foreign_linker })
    };
    if has_core(&sysroot, target) {
        return plain(false);
    }
    let mut tried = vec![format!("{target} is not installed in {}", sysroot.display())];

    let managed = sysroot.parent().and_then(Path::file_name).is_some_and(|name| name == "toolchains");
    if managed && shell::find_program("rustup").is_some() && !has_sources(&sysroot) {
        eprintln!("setting up Rust's core library for {target}");
        match rustup(context, &sysroot, &["target", "add", target]) {
            Ok(()) => return plain(false),
            Err(error) => tried.push(format!("{error:#}")),
        }
        if let Err(error) = rustup(context, &sysroot, &["component", "add", "rust-src"]) {
            tried.push(format!("{error:#}"));
        }
    }

    if has_sources(&sysroot) {
        return plain(true);
    }
    if managed {
        match debian_sources(context, &sysroot) {
            Ok(()) => return plain(true),
            Err(error) => tried.push(format!("{error:#}")),
        }
    } else {
        tried.push("there is no rust-src of this compiler to build core from".to_owned());
    }

    match debian(context, target) {
        Ok(toolchain) => Ok(toolchain),
        Err(error) => {
            tried.push(format!("{error:#}"));
            let lines: Vec<String> =
                tried.iter().map(|line| format!("- {}", crate::args::indent(line, "  "))).collect();
            bail!(
                "Rust's core library for {target} could not be had in any way:\n{}\n\
                 With a network, `rustup target add {target}` is the easiest; \
                 as root on Debian, see README.md for the packages.",
                lines.join("\n")
            )
        }
    }
}

fn sysroot(context: &Context, rustc: &Path) -> Result<PathBuf> {
    let mut command = Command::new(rustc);
    command.current_dir(&context.root).args(["--print", "sysroot"]);
    let text = shell::ask(&mut command).context("there is no working Rust compiler")?;
    Ok(PathBuf::from(text.trim()))
}

fn has_core(sysroot: &Path, target: &str) -> bool {
    let folder = sysroot.join("lib/rustlib").join(target).join("lib");
    let mut files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with("libcore-"))
}

/// Whether the compiler comes without `rust-lld`; if so, LLVM's own is installed where it is missing.
fn needs_linker(context: &Context, sysroot: &Path) -> Result<bool> {
    let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).into_iter().flatten().flatten();
    if hosts.map(|host| host.path().join("bin/rust-lld")).any(|file| file.is_file()) {
        return Ok(false);
    }
    if shell::find_program(LINKER).is_none() {
        eprintln!("setting up the linker");
        let advice = "this compiler comes without a linker for the target: install lld";
        let sources = Sources::of_this_machine().context(advice)?;
        Apt::for_this_machine(context, &sources)?
            .install(&["lld"], Origin::Release, &sources)
            .context(advice)?;
    }
    Ok(true)
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
}

/// Where Debian's rust-src is looked for, in the version of a compiler that rustup installed.
const SOURCE_SUITES: &[&str] = &["trixie-backports", "trixie", "forky"];

/// Gets Debian's package of the sources of exactly the compiler in `sysroot`, and links them where rustup's own
/// would be.
fn debian_sources(context: &Context, sysroot: &Path) -> Result<()> {
    let rustc = sysroot.join("bin/rustc");
    let version = shell::ask(Command::new(&rustc).arg("--version"))?;
    let version = version.split_whitespace().nth(1).context("the compiler tells no version")?;
    eprintln!("setting up the sources of Rust {version}'s core library");
    let folder = context.cache().join(format!("rust-src-{version}"));
    let library = folder.join(format!("usr/src/rustc-{version}"));
    if !library.join("library/core/Cargo.toml").is_file() {
        let sources = Sources::of_this_machine()
            .context("this machine has no package sources of a Debian release to take rust-src from")?;
        let package = SOURCE_SUITES.iter().find_map(|suite| {
            // The package is for all architectures.
            let apt = Apt::foreign(context, &sources, "arm64", suite).ok()?;
            let candidate = apt.exact("rust-src", version).ok()?;
            apt.download(&candidate).ok()
        });
        let package = package
            .with_context(|| format!("Debian ({}) has no rust-src {version}", SOURCE_SUITES.join(", ")))?;
        make_folder(&folder)?;
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(&package).arg(&folder);
        shell::logged(context, &mut unpack, &folder.join("log"))?;
    }
    let place = sysroot.join("lib/rustlib/src");
    make_folder(&place)?;
    let place = place.join("rust");
    // What is there is a link whose target went away: otherwise there would have been sources.
    let _ = std::fs::remove_file(&place);
    std::os::unix::fs::symlink(&library, &place)
        .with_context(|| format!("cannot make the link {}", place.display()))?;
    if !has_sources(sysroot) {
        bail!("the package rust-src {version} has no {}", context.show(&library));
    }
    Ok(())
}

/// Asks rustup for a part of the toolchain in use.
fn rustup(context: &Context, sysroot: &Path, words: &[&str]) -> Result<()> {
    let toolchain = sysroot.file_name().unwrap_or_default();
    let mut command = Command::new("rustup");
    command.args(words).arg("--toolchain").arg(toolchain);
    shell::logged(context, &mut command, &context.cache().join("rustup.log"))
}

/// The least version of Rust that the workspace says it needs.
fn least_version(context: &Context) -> Result<(u32, u32)> {
    let manifest: toml::Table = read_text(&context.root.join("Cargo.toml"))?.parse()?;
    let package = manifest.get("workspace").and_then(|workspace| workspace.get("package"));
    let version = package.and_then(|package| package.get("rust-version")).and_then(toml::Value::as_str);
    version.and_then(parse_version).context("Cargo.toml names no rust-version")
}

/// `1.95` or `rustc 1.95.0 (…)` → (1, 95).
fn parse_version(text: &str) -> Option<(u32, u32)> {
    let begin = text.find(|letter: char| letter.is_ascii_digit())?;
    let mut numbers = text.get(begin..)?.split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Debian's compiler and its sources, from packages that belong together; installed if they are not
/// there.
fn debian(context: &Context, target: &'static str) -> Result<Toolchain> {
    const RUSTC: &str = "/usr/bin/rustc";
    let least = least_version(context)?;
    let ready = || -> bool {
        let version = shell::ask(Command::new(RUSTC).arg("--version")).ok();
        let sysroot = sysroot(context, Path::new(RUSTC));
        version.and_then(|text| parse_version(&text)) >= Some(least)
            && sysroot.is_ok_and(|sysroot| has_sources(&sysroot))
            && Path::new("/usr/bin/cargo").is_file()
    };
    if !ready() {
        eprintln!("setting up Debian's Rust with its sources");
        let sources =
            Sources::of_this_machine().context("this machine has no package sources of a Debian release")?;
        let apt = Apt::for_this_machine(context, &sources)?;
        let (packages, origin) = matched_set(&apt, least).with_context(|| {
            format!("Debian {} has no Rust {}.{} or later", sources.codename, least.0, least.1)
        })?;
        apt.install(packages, origin, &sources)?;
        if !context.dry_run && !ready() {
            bail!("{} were installed, but do not work together", packages.join(", "));
        }
    }
    let foreign_linker = needs_linker(context, &sysroot(context, Path::new(RUSTC))?)?;
    Ok(Toolchain {
        target,
        cargo: PathBuf::from("/usr/bin/cargo"),
        rustc: Some(RUSTC.into()),
        build_std: true,
        foreign_linker,
    })
}

/// The packages of a compiler that is new enough: the set that follows Firefox's needs in older
/// releases, else the release's own or its backports.
fn matched_set(apt: &Apt<'_>, least: (u32, u32)) -> Option<(&'static [&'static str], Origin)> {
    const SETS: &[&[&str]] = &[&["rustc-web", "cargo-web", "rust-web-src"], &["rustc", "cargo", "rust-src"]];
    SETS.iter().find_map(|set| {
        let versions = apt.versions(set.first()?);
        let (_, origin) = versions.iter().find(|(version, _)| parse_version(version) >= Some(least))?;
        Some((*set, *origin))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_tools_and_packages_say() {
        assert_eq!(parse_version("rustc 1.95.0 (59807616e 2026-04-14)"), Some((1, 95)));
        assert_eq!(parse_version("1.85.0+dfsg3-1"), Some((1, 85)));
        assert_eq!(parse_version("1.95"), Some((1, 95)));
        assert_eq!(parse_version("none"), None);
    }
}
