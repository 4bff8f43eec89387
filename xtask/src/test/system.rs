//! Runs scenarios, some at a time, each with a QEMU of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow};

use super::Tally;
use super::console::Console;
use crate::args::{Parsed, indent};
use crate::board::Board;
use crate::build::{self, Profile};
use crate::context::Context;
use crate::machine::{Machine, Terminal};
use crate::scenarios::Scenario;
use crate::{setup, shell};

/// How many lines of a console are shown when a scenario fails.
const SHOWN: usize = 40;

/// What all scenarios of a run have in common.
struct Bench<'a> {
    context: &'a Context,
    image: std::path::PathBuf,
    test_guest: std::path::PathBuf,
    patience: u32,
    show: bool,
}

/// Runs the scenarios and tells how each went.
pub(crate) fn run(context: &Context, parsed: &Parsed, scenarios: &[&Scenario]) -> Result<Tally> {
    setup::prepare_machine(context)?;
    let image = build::build(context, Profile::chosen(parsed)?)?.image;
    let test_guest = build::test_guest(context)?;
    let patience = parsed.number("patience")?.unwrap_or(1).max(1);
    let bench = Bench { context, image, test_guest, patience, show: parsed.flag("show") };
    let jobs = parsed.number("jobs")?.unwrap_or(2).clamp(1, scenarios.len().max(1));
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let begun = Instant::now();
                    let result = bench.attempt(scenario);
                    let seconds = begun.elapsed().as_secs_f32();
                    let mut tally = tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    match result {
                        Ok(()) => {
                            eprintln!("  ok      {:<22} {seconds:5.1} s", scenario.name);
                            tally.passed += 1;
                        }
                        Err(error) => {
                            eprintln!("  FAILED  {:<22} {seconds:5.1} s", scenario.name);
                            eprintln!("          {}", indent(&format!("{error:#}"), "          "));
                            let reason = error.to_string();
                            let reason = reason.lines().next().unwrap_or_default();
                            tally.failed.push(format!("{}: {reason}", scenario.name));
                        }
                    }
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

impl Bench<'_> {
    /// One scenario: its machine, its QEMU, its script.
    fn attempt(&self, scenario: &Scenario) -> Result<()> {
        let mut machine = Machine::new(Board::load(self.context, scenario.board)?);
        machine.guests.test_guest = Some(self.test_guest.clone());
        (scenario.machine)(&mut machine);
        let folder = self.context.out.join("test");
        let archive = folder.join(format!("{}.cpio", scenario.name));
        machine.write_archive(self.context, &archive)?;
        let mut qemu = machine.command(self.context, &self.image, &archive, Terminal::Pipes)?;
        if self.context.verbose {
            eprintln!("+ {}", shell::show(&qemu));
        }
        if self.context.dry_run {
            return Ok(());
        }
        let log = folder.join(format!("{}.log", scenario.name));
        let mut console = Console::start(&mut qemu, &log, self.patience, self.show)?;
        // A scenario that panics is a scenario that fails: the others go on.
        let result = catch_unwind(AssertUnwindSafe(|| (scenario.script)(&mut console)))
            .unwrap_or_else(|_| Err(anyhow!("the scenario itself panicked")));
        let transcript = console.stop();
        let _ = std::fs::remove_file(&archive);
        result.map_err(|error| {
            let shown = shell::tail(&transcript, SHOWN);
            anyhow!("{error:#}\nthe console's end, all of it in {}:\n{shown}", self.context.show(&log))
        })
    }
}
