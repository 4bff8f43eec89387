//! `cargo xtask clean`.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context as _, Result};

use crate::arch;
use crate::args::{Command, Opt, Parsed};
use crate::context::Context;
use crate::setup::toolchain::Toolchain;
use crate::shell;

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "clean",
    summary: "Remove what was built",
    about: "\
Removes the images, the logs and cargo's target folder. What was fetched from the network (the guests'
kernels and so on, in build/cache and build/images) stays, unless --all is given.",
    options: &[Opt::switch("all", "remove what was fetched, too")],
    operands: "",
    examples: &[("cargo xtask clean --all", "back to a fresh checkout")],
    run: clean,
};

fn clean(context: &Context, parsed: &Parsed) -> Result<()> {
    let all = parsed.flag("all");
    let entries = match fs::read_dir(&context.out) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return cargo_clean(context),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", context.show(&context.out)));
        }
    };
    // Only what xtask makes: with --output the folder may hold other things of the user's.
    let ours: Vec<&str> =
        arch::ALL.iter().map(|arch| arch.name).chain(["bench", "guests", "run", "test"]).collect();
    let fetched = ["cache", "images"];
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is = |names: &[&str]| names.iter().any(|known| name == *known);
        let goes = is(&ours) || (all && is(&fetched));
        if !goes {
            continue;
        }
        let path = entry.path();
        if context.verbose {
            eprintln!("+ rm -r {}", context.show(&path));
        }
        if !context.dry_run {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", context.show(&path)))?;
        }
    }
    cargo_clean(context)
}

fn cargo_clean(context: &Context) -> Result<()> {
    shell::run(context, Toolchain::cargo(context).arg("clean"))
}
