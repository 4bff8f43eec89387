//! `cargo xtask test`: the unit tests of everything that runs on this machine, then whole-system
//! scenarios in QEMU.

pub(crate) mod console;
mod miri;
mod system;
mod unit;

pub(crate) use unit::bare_metal;

use std::fmt;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::args::{Command, Opt, Parsed};
use crate::context::Context;
use crate::scenarios::{Case, Wanted};

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "test",
    summary: "Run every test: of the crates on this machine, and of the whole in QEMU",
    about: "\
Three stages, each with its time:

1. `cargo test` for every crate that compiles for this machine: all but the binary and the privileged
   part of an architecture.
2. Miri, where rustup has it, on the tests of `host/`: undefined behaviour and data races.
3. Scenarios: the hypervisor boots in QEMU, and a script reads its console, types commands, attaches to
   guests and so on. Two run at a time. A scenario may run on several boards: on others than its first
   it is called NAME@BOARD. What a console showed is in build/test/NAME.log; the end of it
   is printed if a scenario fails.

It sets up what is missing first, and ends with one line: N passed, N failed.",
    options: &[
        Opt::value(
            "only",
            "NAME",
            "only the scenarios whose name contains NAME, and no unit tests;\nmay be given several times",
        ),
        Opt::value(
            "board",
            "NAME",
            "only scenarios, all on this board that run on its architecture,\nalso those that are listed for other boards only",
        ),
        Opt::value("cpu", "MODEL", "another CPU model for the board, where the scenario names none"),
        Opt::value("cpus", "N", "another number of CPUs, where the scenario says none"),
        Opt::value("memory", "SIZE", "another amount of memory, where the scenario says none"),
        Opt::switch(
            "all",
            "those too that take minutes, or differ little from others: else they run\nwhen --only has their whole name",
        ),
        Opt::switch("list", "list the scenarios"),
        Opt::switch("unit", "only the tests of the crates"),
        Opt::switch("miri", "only the tests of host/ under Miri"),
        Opt::switch("system", "only the scenarios"),
        Opt::value("jobs", "N", "how many QEMUs run at a time (2)"),
        Opt::value("patience", "N", "wait N times as long for what is expected, on a slow machine (1)"),
        Opt::switch("show", "copy the consoles to this terminal as they are read"),
        crate::build::RELEASE,
        crate::build::DEBUG,
    ],
    operands: "",
    examples: &[
        ("cargo xtask test", "everything"),
        ("cargo xtask test --only linux-shell --show", "one scenario, looking on"),
        (
            "cargo xtask test --board qemu-riscv64-imsic --cpu rv64 --cpus 4",
            "a host that is not on the list, with every scenario that it can run",
        ),
        ("cargo xtask test --unit", "quick: no QEMU"),
    ],
    run,
};

/// How many tests passed, and what failed.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    /// One line for each.
    pub(crate) failed: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed", self.passed, self.failed.len())
    }
}

fn run(context: &Context, parsed: &Parsed) -> Result<()> {
    if parsed.flag("list") {
        for case in Case::all(context, &Wanted { all: true, board: parsed.value("board"), only: Vec::new() })?
        {
            let when = if case.runs_when_asked() { " (when asked for)" } else { "" };
            println!("{:<22} {}{when}", case.name(), case.scenario.about);
        }
        return Ok(());
    }
    let chosen: Vec<&str> = parsed.values("only").collect();
    let wanted = Wanted { board: parsed.value("board"), only: chosen.clone(), all: parsed.flag("all") };
    let cases = Case::all(context, &wanted)?;
    if cases.is_empty() {
        bail!("no scenario has such a name and board; `cargo xtask test --list` lists them all");
    }
    let mut all = Tally::default();
    let mut stage = |title: &str, work: &mut dyn FnMut() -> Result<Tally>| -> Result<()> {
        let begun = Instant::now();
        eprintln!("\n=== {title}");
        let tally = work()?;
        eprintln!("=== {title}: {tally}, {:.0} s", begun.elapsed().as_secs_f32());
        all.add(tally);
        Ok(())
    };
    let only = |switch: &str| parsed.flag(switch);
    if chosen.is_empty() && !only("system") && parsed.value("board").is_none() {
        if !only("miri") {
            stage("tests of the crates", &mut || unit::run(context))?;
        }
        if !only("unit") {
            stage("Miri on host/", &mut || miri::run(context))?;
        }
    }
    if !only("unit") && !only("miri") {
        stage("scenarios in QEMU", &mut || system::run(context, parsed, &cases))?;
    }
    eprintln!();
    for line in &all.failed {
        eprintln!("failed: {line}");
    }
    println!("{all}");
    if !all.failed.is_empty() {
        // No more words: the line above is to be the last.
        std::process::exit(1);
    }
    Ok(())
}
