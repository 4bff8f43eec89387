//! Miri, Rust's interpreter that finds undefined behaviour: it comes with nightly toolchains only.
//!
//! 1. rustup's `nightly` has it;
//! 2. rustup fetched it before, into the output folder;
//! 3. rustup fetches it there: a user's own toolchains stay as they are.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::shell::{self, Progress};

/// The one that is fetched.
const DATED: &str = "nightly-2026-05-20";

/// A toolchain that has Miri.
pub(crate) struct Miri {
    toolchain: &'static str,
    /// rustup's folder, if it is not the user's.
    home: Option<PathBuf>,
    version: String,
}

impl Miri {
    /// Finds it, or has rustup fetch it, and builds its standard library if that was not done.
    ///
    /// # Errors
    /// There is no rustup, or no network the first time, or what was fetched does not work.
    pub(crate) fn prepare(context: &Context) -> Result<Self> {
        let _alone = context.alone_in(&context.cache())?;
        if shell::find_program("rustup").is_none() {
            bail!("Miri comes through rustup, and there is none here");
        }
        let home = context.cache().join("rustup");
        let miri = match Self::find(context, "nightly", None) {
            Some(miri) => miri,
            None => match Self::find(context, DATED, Some(home.clone())) {
                Some(miri) => miri,
                None => Self::fetch(context, home)?,
            },
        };
        let mut setup = miri.cargo(context);
        setup.args(["miri", "setup"]);
        let progress = Progress { what: "building Miri's standard library", expected: None };
        shell::watched(context, &mut setup, &context.cache().join("miri.log"), Some(&progress))
            .context("Miri has no standard library")?;
        Ok(miri)
    }

    /// What it says of itself.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Its cargo.
    pub(crate) fn cargo(&self, context: &Context) -> Command {
        let mut command = self.rustup(context);
        command.args(["run", self.toolchain, "cargo"]);
        command
    }

    fn find(context: &Context, toolchain: &'static str, home: Option<PathBuf>) -> Option<Self> {
        let mut miri = Self { toolchain, home, version: String::new() };
        if miri.home.as_ref().is_some_and(|home| !home.is_dir()) {
            return None;
        }
        let version = shell::ask(miri.cargo(context).args(["miri", "--version"])).ok()?;
        version.trim().clone_into(&mut miri.version);
        Some(miri)
    }

    fn fetch(context: &Context, home: PathBuf) -> Result<Self> {
        let miri = Self { toolchain: DATED, home: Some(home.clone()), version: String::new() };
        let mut install = miri.rustup(context);
        install.args(["toolchain", "install", DATED, "--profile", "minimal", "--no-self-update"]);
        install.args(["--component", "miri", "--component", "rust-src"]);
        let what = format!("fetching Miri ({DATED}, about 160 MB)");
        let progress = Progress { what: &what, expected: None };
        shell::watched(context, &mut install, &context.cache().join("rustup-miri.log"), Some(&progress))?;
        Self::find(context, DATED, Some(home)).with_context(|| format!("{DATED} has no Miri that works"))
    }

    fn rustup(&self, context: &Context) -> Command {
        let mut command = Command::new("rustup");
        command.current_dir(&context.root);
        // Those of the cargo that runs us are another toolchain's.
        for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        if let Some(home) = &self.home {
            command.env("RUSTUP_HOME", home);
            // Where its standard library is built: the place of the user's Miri is left to that.
            command.env("MIRI_SYSROOT", home.with_file_name("miri"));
        }
        command
    }
}
