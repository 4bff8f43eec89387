//! Miri, which runs the tests of `host/` as an abstract machine and tells undefined behaviour and data races: these
//! crates keep unsafe code, and run on this machine.
//!
//! Where it cannot be had the stage is left out, which is said.

use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Result, anyhow};

use super::{Tally, unit};
use crate::context::Context;
use crate::setup::Miri;
use crate::shell;

/// The crates whose tests run one after the other, each crate in a process.
const WHOLE: &[&str] =
    &["host-mem", "host-sync", "host-irq", "host-log", "host-mmio", "host-cpus", "host-vfs", "host-sched"];

/// The crate that takes longest. Its tests leave threads behind, and with each all that follows takes Miri longer: a
/// process for a few of them.
const IN_PIECES: &str = "host-thread";

/// So many tests of that one in a process.
const PIECE: usize = 10;

/// Processes at a time: Miri itself runs on one CPU.
const AT_ONCE: usize = 2;

/// The tests of one process.
struct Job {
    package: &'static str,
    /// All if there are none.
    names: Vec<String>,
}

/// Runs the tests, or says why it does not.
pub(crate) fn run(context: &Context) -> Result<Tally> {
    let miri = match Miri::prepare(context) {
        Ok(miri) => miri,
        Err(why) => {
            eprintln!("LEFT OUT: there is no Miri. {why:#}");
            return Ok(Tally::default());
        }
    };
    eprintln!("{}", miri.version());
    let jobs = Mutex::new(jobs(context, &miri)?);
    let next = || jobs.lock().ok()?.pop();
    let work = || -> Result<Tally> {
        let mut tally = Tally::default();
        while let Some(job) = next() {
            tally.add(test(context, &miri, &job)?);
        }
        Ok(tally)
    };
    let tallies: Vec<Result<Tally>> = thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|one| one.join().unwrap_or_else(|_| Err(anyhow!("it panicked")))).collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.add(tally?);
    }
    all.failed.iter_mut().for_each(|test| test.insert_str(0, "under Miri: "));
    Ok(all)
}

/// What is to be run; the last ones first.
fn jobs(context: &Context, miri: &Miri) -> Result<Vec<Job>> {
    let listed = shell::ask(command(context, miri, IN_PIECES).args(["--", "--list", "--format", "terse"]))?;
    let names: Vec<String> =
        listed.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect();
    anyhow::ensure!(!names.is_empty(), "Miri lists no test of {IN_PIECES}");
    let pieces = names.chunks(PIECE).map(|names| Job { package: IN_PIECES, names: names.to_vec() });
    let whole = WHOLE.iter().rev().map(|package| Job { package, names: Vec::new() });
    Ok(pieces.chain(whole).collect())
}

fn test(context: &Context, miri: &Miri, job: &Job) -> Result<Tally> {
    let mut command = command(context, miri, job.package);
    if !job.names.is_empty() {
        command.args(["--", "--exact"]).args(&job.names);
    }
    unit::count_tests(context, command)
}

/// The command that runs a crate's tests.
fn command(context: &Context, miri: &Miri, package: &str) -> Command {
    let mut command = miri.cargo(context);
    command.args(["miri", "test", "--no-fail-fast", "--lib", "--tests", "--package", package]);
    command.env("CARGO_TARGET_DIR", context.target().join("miri"));
    // The machine's memory is known by its addresses; that is no news here, and it is never freed.
    let mut flags = "-Zmiri-permissive-provenance -Zmiri-ignore-leaks".to_owned();
    if package == "host-mem" {
        // A guest's memory is read and written in all widths: Miri's store buffers cannot have that.
        flags.push_str(" -Zmiri-disable-weak-memory-emulation");
    }
    command.env("MIRIFLAGS", flags);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_of_the_host_is_tested() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../host");
        let mut there: Vec<String> = std::fs::read_dir(root)
            .unwrap()
            .map(|entry| format!("host-{}", entry.unwrap().file_name().to_string_lossy()))
            .collect();
        let mut here = [WHOLE, &[IN_PIECES]].concat();
        there.sort();
        here.sort_unstable();
        assert_eq!(here, there);
    }
}
