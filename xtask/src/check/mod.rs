//! `cargo xtask check`: form, lints, documents and the house rules.

mod floors;
mod rules;

use std::process::Command as Process;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::arch::Arch;
use crate::args::{Command, Opt, Parsed};
use crate::build;
use crate::context::Context;
use crate::setup::toolchain::{self, Toolchain};
use crate::shell;
use crate::test::bare_metal;

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "check",
    summary: "Look for mistakes without running anything",
    about: "\
In this order; a failure does not keep the later ones from being looked at:

  fmt       the sources are formatted (`cargo fmt` formats them)
  floors    crates depend only on what xtask/floors.toml allows their floor
  rules     house rules that can be seen in the text: the architecture only in arch/, atomics only through
            lib/atomic, unsafe only where it has a home, a file is a page or two, no names of machines
  clippy    no warnings, for this machine and for the hypervisor's targets
  doc       rustdoc without warnings

A breach of a rule is told with file, line and the rule's name (CONTRIBUTING.md has them).",
    options: &[Opt::value("only", "NAME", "only this one; may be given several times")],
    operands: "",
    examples: &[("cargo xtask check --only floors --only rules", "the two that take no time")],
    run,
};

/// One thing that is checked: its name, and a function that tells whether all is well.
type Check = (&'static str, fn(&Context) -> Result<bool>);

const CHECKS: &[Check] = &[
    ("fmt", format),
    ("floors", floors::check),
    ("rules", rules::check),
    ("clippy", clippy),
    ("doc", documents),
];

fn run(context: &Context, parsed: &Parsed) -> Result<()> {
    let only: Vec<&str> = parsed.values("only").collect();
    if let Some(name) = only.iter().find(|name| CHECKS.iter().all(|(known, _)| known != *name)) {
        let known: Vec<&str> = CHECKS.iter().map(|(name, _)| *name).collect();
        bail!("there is no check `{name}`; there are: {}", known.join(", "));
    }
    let mut failed = Vec::new();
    for (name, check) in CHECKS.iter().filter(|(name, _)| only.is_empty() || only.contains(name)) {
        let begun = Instant::now();
        let well = check(context)?;
        let verdict = if well { "ok" } else { "FAILED" };
        eprintln!("{name:<8} {verdict}, {:.1} s", begun.elapsed().as_secs_f32());
        if !well {
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("not well: {}", failed.join(", "));
    }
    Ok(())
}

/// Whether cargo has this tool; Debian packs some of them apart.
fn has(context: &Context, tool: &str, package: &str) -> bool {
    let there = shell::ask(Toolchain::cargo(context).args([tool, "--version"])).is_ok();
    if !there {
        eprintln!("cargo {tool} is not installed (`rustup component add`, or Debian's {package}): left out");
    }
    there
}

fn succeeds(context: &Context, command: &mut Process) -> Result<bool> {
    Ok(shell::status(context, command)?.success())
}

fn format(context: &Context) -> Result<bool> {
    Ok(!has(context, "fmt", "rustfmt")
        || succeeds(context, Toolchain::cargo(context).args(["fmt", "--all", "--check"]))?)
}

/// The workspace without what does not compile for this machine.
fn on_this_machine(context: &Context, verb: &str) -> Process {
    let mut cargo = Toolchain::cargo(context);
    cargo.args([verb, "--workspace"]);
    for name in bare_metal(context) {
        cargo.args(["--exclude", &name]);
    }
    cargo
}

/// What does not compile for this machine, for one architecture.
fn on_bare_metal(context: &Context, arch: &Arch, verb: &str) -> Result<Process> {
    let mut cargo = toolchain::prepare(context, arch)?.cargo_for_target(context, verb);
    cargo.args(["--package", "xvisor", "--package", &arch.package()]);
    if build::has_test_guest(context, arch) {
        cargo.args(["--package", build::TEST_GUESTS]);
    }
    Ok(cargo)
}

/// Does `work` for every architecture, also after one where it does not succeed.
fn everywhere(context: &Context, work: impl Fn(&Arch) -> Result<bool>) -> Result<bool> {
    Arch::present(context).try_fold(true, |well, arch| Ok(work(arch)? && well))
}

fn clippy(context: &Context) -> Result<bool> {
    if !has(context, "clippy", "rust-clippy") {
        return Ok(true);
    }
    let strict = ["--", "-D", "warnings"];
    let ours = succeeds(context, on_this_machine(context, "clippy").arg("--all-targets").args(strict))?;
    let bare =
        everywhere(context, |arch| succeeds(context, on_bare_metal(context, arch, "clippy")?.args(strict)))?;
    Ok(ours && bare)
}

fn documents(context: &Context) -> Result<bool> {
    let strict = ("RUSTDOCFLAGS", "-D warnings");
    let ours = succeeds(context, on_this_machine(context, "doc").arg("--no-deps").env(strict.0, strict.1))?;
    let bare = everywhere(context, |arch| {
        succeeds(context, on_bare_metal(context, arch, "doc")?.arg("--no-deps").env(strict.0, strict.1))
    })?;
    Ok(ours && bare)
}
