//! `cargo test` for the crates that compile for this machine.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use super::Tally;
use crate::arch::Arch;
use crate::build::TEST_GUESTS;
use crate::context::Context;
use crate::setup::toolchain::Toolchain;
use crate::{setup, shell};

/// Crates that only compile for the hypervisor's targets; what tests them are the scenarios.
pub(crate) fn bare_metal(context: &Context) -> Vec<String> {
    let parts = Arch::present(context).map(Arch::package);
    parts.chain(["xvisor".to_owned(), TEST_GUESTS.to_owned()]).collect()
}

/// Runs the tests, shows what cargo shows, and counts.
pub(crate) fn run(context: &Context) -> Result<Tally> {
    setup::prepare_programs(context)?;
    let mut cargo = Toolchain::cargo(context);
    cargo.args(["test", "--workspace", "--no-fail-fast"]);
    for name in bare_metal(context) {
        cargo.args(["--exclude", &name]);
    }
    count_tests(context, cargo)
}

/// Runs a cargo that tests, shows what it shows of more than passing tests, and counts.
pub(super) fn count_tests(context: &Context, mut cargo: Command) -> Result<Tally> {
    if context.verbose {
        eprintln!("+ {}", shell::show(&cargo));
    }
    let mut tally = Tally::default();
    if context.dry_run {
        return Ok(tally);
    }
    let mut child =
        cargo.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let output = child.stdout.take().context("cargo has no output")?;
    let mut screen = std::io::stderr();
    for line in BufReader::new(output).lines() {
        let line = line?;
        if is_news(&line) {
            let _ = writeln!(screen, "{line}");
        }
        count(&line, &mut tally);
    }
    let status = child.wait()?;
    if !status.success() && tally.failed.is_empty() {
        tally.failed.push(format!("{}: something did not compile, or ended early", shell::show(&cargo)));
    }
    Ok(tally)
}

/// Tests that pass, and crates without any, are not worth a line.
fn is_news(line: &str) -> bool {
    let passed = line.starts_with("test ") && line.ends_with("... ok");
    let empty = line == "running 0 tests" || line.starts_with("test result: ok. 0 passed");
    !passed && !empty && !line.trim().is_empty()
}

fn count(line: &str, tally: &mut Tally) {
    if let Some(name) = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED")) {
        tally.failed.push(name.to_owned());
    }
    if let Some(result) = line.strip_prefix("test result: ") {
        let number = result.split([' ', '.', ';']).find_map(|word| word.parse::<usize>().ok());
        tally.passed += number.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up_and_failures_named() {
        let mut tally = Tally::default();
        for line in [
            "test a::b ... ok",
            "test c::d ... FAILED",
            "test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            count(line, &mut tally);
        }
        assert_eq!(tally.to_string(), "15 passed, 1 failed");
        assert_eq!(tally.failed, ["c::d"]);
    }
}
