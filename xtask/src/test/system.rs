//! Runs scenarios, some at a time, each with a QEMU of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};

use super::Tally;
use super::console::Console;
use crate::arch::{self, Arch};
use crate::args::{Parsed, indent};
use crate::board::megabytes;
use crate::build::{self, Profile};
use crate::context::Context;
use crate::machine::Terminal;
use crate::scenarios::Case;
use crate::{setup, shell};

/// A scenario with more CPUs than this runs alone.
const CROWD: u32 = 16;
/// How many lines of a console are shown when a scenario fails.
const SHOWN: usize = 40;

/// What all scenarios of a run have in common.
struct Bench<'a> {
    context: &'a Context,
    programs: Vec<Programs>,
    /// Of the hypervisor and the machine where a scenario says nothing.
    profile: Profile,
    cpu: Option<String>,
    cpus: Option<u32>,
    memory: Option<u64>,
    patience: u32,
    show: bool,
}

/// What was built for an architecture.
struct Programs {
    arch: &'static Arch,
    /// One for each way in which some case wants it compiled.
    images: Vec<(Profile, PathBuf)>,
    test_guest: Option<PathBuf>,
}

/// Runs the scenarios and tells how each went.
pub(crate) fn run(context: &Context, parsed: &Parsed, cases: &[Case]) -> Result<Tally> {
    let chosen = Profile::chosen(parsed)?;
    let mut programs = Vec::new();
    for arch in arch::ALL.iter().copied().filter(|arch| cases.iter().any(|case| case.board.arch == *arch)) {
        setup::prepare_machine(context, arch, &more_images(cases, arch))?;
        let mut images = Vec::new();
        for case in cases.iter().filter(|case| case.board.arch == arch) {
            let profile = case.machine().profile.unwrap_or(chosen);
            if images.iter().all(|(known, _)| *known != profile) {
                images.push((profile, build::build(context, arch, profile)?.image));
            }
        }
        let has_test_guest = build::has_test_guest(context, arch);
        let test_guest = has_test_guest.then(|| build::test_guest(context, arch)).transpose()?;
        programs.push(Programs { arch, images, test_guest });
    }
    let bench = Bench {
        context,
        programs,
        profile: chosen,
        cpu: parsed.value("cpu").map(str::to_owned),
        cpus: parsed.number("cpus")?,
        memory: parsed.value("memory").map(megabytes).transpose()?,
        patience: parsed.number("patience")?.unwrap_or(1).max(1),
        show: parsed.flag("show"),
    };
    let jobs = parsed.number("jobs")?.unwrap_or(2).clamp(1, cases.len().max(1));
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let alone = RwLock::new(());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // So many CPUs leave none of this machine's for another QEMU, whose guests' time goes on meanwhile.
                    let is_crowd = case.machine().cpus.is_some_and(|cpus| cpus > CROWD);
                    let _crowd = is_crowd.then(|| alone.write());
                    let _other = (!is_crowd).then(|| alone.read());
                    let begun = Instant::now();
                    let result = bench.attempt(case);
                    let seconds = begun.elapsed().as_secs_f32();
                    let name = case.name();
                    let mut tally = tally.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    match result {
                        Ok(()) => {
                            eprintln!("  ok      {name:<22} {seconds:5.1} s");
                            tally.passed += 1;
                        }
                        Err(error) => {
                            eprintln!("  FAILED  {name:<22} {seconds:5.1} s");
                            eprintln!("          {}", indent(&format!("{error:#}"), "          "));
                            let reason = error.to_string();
                            let reason = reason.lines().next().unwrap_or_default();
                            tally.failed.push(format!("{name}: {reason}"));
                        }
                    }
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// The images that the cases of an architecture take beside those that are always there.
fn more_images(cases: &[Case], arch: &Arch) -> Vec<setup::Image> {
    let cases = cases.iter().filter(|case| case.board.arch == arch);
    cases.flat_map(|case| case.machine().start.images()).copied().collect()
}

impl Bench<'_> {
    /// One scenario: its machine, its QEMU, its script.
    fn attempt(&self, case: &Case) -> Result<()> {
        let (name, arch) = (case.name(), case.board.arch);
        let programs = self.programs.iter().find(|programs| programs.arch == arch);
        let programs = programs.context("nothing was built for this board")?;
        let mut machine = case.machine();
        machine.guests.test_guest = programs.test_guest.clone();
        let profile = machine.profile.unwrap_or(self.profile);
        let image = programs.images.iter().find(|(known, _)| *known == profile);
        let (_, image) = image.context("the hypervisor was not built in this way")?;
        machine.cpu = machine.cpu.or_else(|| self.cpu.clone());
        machine.cpus = machine.cpus.or(self.cpus);
        machine.memory = machine.memory.or(self.memory);
        let folder = self.context.out.join("test");
        let archive = folder.join(format!("{name}.cpio"));
        machine.write_archive(self.context, &archive)?;
        let mut qemu = machine.command(self.context, image, &archive, Terminal::Pipes)?;
        if self.context.verbose {
            eprintln!("+ {}", shell::show(&qemu));
        }
        if self.context.dry_run {
            return Ok(());
        }
        let log = folder.join(format!("{name}.log"));
        let mut console = Console::start(arch, &mut qemu, &log, self.patience, self.show)?;
        // A scenario that panics is a scenario that fails: the others go on.
        let result = catch_unwind(AssertUnwindSafe(|| (case.scenario.script)(&mut console)))
            .unwrap_or_else(|_| Err(anyhow!("the scenario itself panicked")));
        let transcript = console.stop();
        let _ = std::fs::remove_file(&archive);
        result.map_err(|error| {
            let shown = shell::tail(&transcript, SHOWN);
            anyhow!("{error:#}\nthe console's end, all of it in {}:\n{shown}", self.context.show(&log))
        })
    }
}
