//! `cargo xtask bench`: instructions counted, not seconds: the same on every machine.

mod counter;
mod figures;
mod memory;
pub(crate) mod peers;
mod several;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::arch;
use crate::args::{Command, Opt, Parsed};
use crate::board::Board;
use crate::build::{self, Profile};
use crate::context::{Context, write};
use crate::machine::{Machine, TEST_GUEST, Terminal};
use crate::setup::{self, Image};
use crate::test::console::{Console, PROMPT};
use counter::{Counter, Counts, Side};
use figures::Figures;

/// The sub-command.
pub(crate) const COMMAND: Command = Command {
    name: "bench",
    summary: "Count what the hypervisor costs, in instructions",
    about: "\
Runs QEMU so that one instruction takes one nanosecond of the machine's time (-icount shift=0), with
nothing random in it: one CPU, cortex-a72, GICv3. The same sources give the same counts on every
machine. A small plugin for QEMU, compiled here from tests/plugin, counts the instructions of each
exception level.

It measures: from power-on (without what firmware does first) to the first line and to the prompt; a whole quiet Linux boot to its shell,
with and without the hypervisor; and what a small guest program (tests/guests) measures with its own
counter; then what is between CPUs and between guests: interrupts from one vCPU to another, switches, a
thousand timers, two busy guests on one CPU, sixteen guests' memory. The table shows each figure, what it must be, and beside it the native one
and what is known of Xen, Xvisor in C and KVM.",
    options: &[
        build::BOARD,
        Opt::value(
            "only",
            "NAME",
            "measure only this; may be given several times: power-on, memory, program, between-cpus, switch, \
             timers, linux, linux-share",
        ),
        Opt::value("json", "FILE", "also write a list of name, value, unit and native"),
        Opt::switch("strict", "fail if a figure is not what it must be"),
        Opt::value("patience", "N", "wait N times as long, on a slow machine (1)"),
    ],
    operands: "",
    examples: &[
        ("cargo xtask bench --json figures.json", "the table, and the list for other programs"),
        ("cargo xtask bench --only program", "in half a minute: exits, a character, a timer"),
    ],
    run,
};

/// What QEMU is told so that a run repeats to the instruction.
const REPEATABLE: &[&str] = &["-icount", "shift=0,sleep=off", "-rtc", "base=2026-01-01T00:00:00,clock=vm"];

/// What the guest kernel's command line has beside its console: nothing random, nothing that is not asked for.
const QUIET: &str = "quiet nokaslr";

/// No line of the hypervisor's log cuts into what is read.
const SILENT: &str = "vmm.loglevel=4";

/// The guest's shell is waiting.
const SHELL: &str = "guest:/# ";

/// What the test program is told in order to measure, and the last line that it prints then.
const PROGRAM: &str = "bench";
const PROGRAM_ENDS: &str = "BENCH done";

/// Seconds that a run may take: the counting makes QEMU five times slower.
const SECONDS: u64 = 240;

/// What all runs have in common.
struct Bench<'a> {
    context: &'a Context,
    board: Board,
    counter: Counter,
    image: PathBuf,
    test_guest: PathBuf,
    patience: u32,
}

/// What `--only` names, in this order.
type Phase = fn(&Bench<'_>, &mut Figures) -> Result<()>;
const PHASES: &[(&str, Phase)] = &[
    ("power-on", |bench, figures| bench.power_on(figures)),
    ("memory", |bench, figures| bench.memory(figures)),
    ("program", |bench, figures| bench.program(figures)),
    ("between-cpus", |bench, figures| bench.between_cpus(figures)),
    ("switch", |bench, figures| bench.switch(figures)),
    ("timers", |bench, figures| bench.timers(figures)),
    ("linux", |bench, figures| bench.linux(figures)),
    ("linux-share", |bench, figures| bench.linux_share(figures)),
];

/// Those for which there must be our own program for guests.
const NEED_TEST_GUEST: &[&str] = &["program", "between-cpus", "switch"];

/// The phases that are asked for.
fn chosen<'a>(names: &[&str]) -> Result<Vec<&'a (&'static str, Phase)>> {
    let known = |name: &&str| PHASES.iter().any(|(phase, _)| phase == name);
    if let Some(name) = names.iter().find(|name| !known(name)) {
        let all: Vec<&str> = PHASES.iter().map(|(phase, _)| *phase).collect();
        bail!("--only {name}: not one of {}", all.join(", "));
    }
    Ok(PHASES.iter().filter(|(phase, _)| names.is_empty() || names.contains(phase)).collect())
}

fn run(context: &Context, parsed: &Parsed) -> Result<()> {
    let chosen = chosen(&parsed.values("only").collect::<Vec<_>>())?;
    let board = match build::board(context, parsed)? {
        Some(board) => board,
        None => Board::load(context, arch::DEFAULT.board)?,
    };
    setup::prepare_machine(context, board.arch, &[])?;
    let image = build::build(context, board.arch, Profile::Release)?.image;
    let has_test_guest = build::has_test_guest(context, board.arch);
    let test_guest = if has_test_guest { build::test_guest(context, board.arch)? } else { PathBuf::new() };
    let counter = Counter::build(context, board.arch)?;
    let patience = parsed.number("patience")?.unwrap_or(1).max(1);
    if context.dry_run {
        return Ok(());
    }
    let _alone = context.alone_in(&context.out.join("bench"))?;
    let bench = Bench { context, board, counter, image, test_guest, patience };
    let mut figures = Figures::new(bench.board.arch);
    figures.add("image file", std::fs::metadata(&bench.image)?.len(), "bytes", None);
    for (name, phase) in chosen {
        if has_test_guest || !NEED_TEST_GUEST.contains(name) {
            phase(&bench, &mut figures)?;
        } else {
            eprintln!("there is no {TEST_GUEST} for {} yet: {name} is left out", bench.board.arch.name);
        }
    }
    print!("{figures}");
    if let Some(file) = parsed.value("json") {
        write(Path::new(file), figures.json().as_bytes())?;
    }
    let missed = figures.missed();
    if parsed.flag("strict") && !missed.is_empty() {
        bail!("not what they must be: {}", missed.join(", "));
    }
    Ok(())
}

impl Bench<'_> {
    /// The machine that everything is counted on.
    fn machine(&self) -> Machine {
        let mut machine = Machine::new(self.board.clone());
        machine.board.machine.push_str(self.board.arch.repeatable);
        machine.words.extend(REPEATABLE.iter().map(|word| (*word).to_owned()));
        machine
    }

    /// The same, whose guests run our test program; the hypervisor's log stays out of what it prints.
    fn program_machine(&self, program: &str) -> Machine {
        let mut machine = self.machine();
        machine.append = SILENT.to_owned();
        machine.guests.tree = self.test_tree();
        machine.guests.append = Some(program.to_owned());
        machine.guests.test_guest = Some(self.test_guest.clone());
        machine
    }

    /// The tree of guests with our test program: on a board with interrupt files (IMSIC) they have such, too.
    fn test_tree(&self) -> String {
        let files = if self.board.machine.contains("aia=aplic-imsic") { "-imsic" } else { "" };
        format!("{TEST_GUEST}{files}")
    }

    /// Runs the hypervisor until its console shows the last mark; returns the counts at each mark
    /// and all that was printed.
    fn measure(&self, name: &str, machine: &mut Machine, marks: &[&str]) -> Result<(Vec<Counts>, String)> {
        eprintln!("measuring: {name}");
        let archive = self.context.out.join("bench/host.cpio");
        machine.write_archive(self.context, &archive)?;
        machine.words.extend(self.counter.words(self.context, marks, Side::Hosted)?);
        let mut qemu = machine.command(self.context, &self.image, &archive, Terminal::Pipes)?;
        self.watch(name, &mut qemu, marks)
    }

    fn watch(
        &self,
        name: &str,
        qemu: &mut std::process::Command,
        marks: &[&str],
    ) -> Result<(Vec<Counts>, String)> {
        let log = self.context.out.join("bench").join(format!("{name}.log"));
        if self.context.verbose {
            eprintln!("+ {}", crate::shell::show(qemu));
        }
        let mut console = Console::start(self.board.arch, qemu, &log, self.patience, false)?;
        let result = console.expect(marks.last().copied().unwrap_or(PROMPT), SECONDS);
        // The plugin counts after the letter is out: a moment later than it can be read here.
        let counts = result.as_ref().ok().map(|_| self.counter.wait(self.context, marks.len()));
        let text = console.stop();
        result.with_context(|| format!("while measuring {name}; see {}", self.context.show(&log)))?;
        Ok((counts.transpose()?.unwrap_or_default(), text))
    }

    fn power_on(&self, figures: &mut Figures) -> Result<()> {
        let mut machine = self.machine();
        machine.guests.count = 0;
        let (counts, _) = self.measure("power-on", &mut machine, &["", PROMPT])?;
        let firmware = Counter::begun(self.context)?.all();
        for (name, counts) in ["power-on to first line", "power-on to prompt"].iter().zip(&counts) {
            figures.add(name, counts.all() - firmware, "instructions", None);
        }
        Ok(())
    }

    /// What the hypervisor keeps of the machine's memory for itself: all that is not free before there is a
    /// guest; and what a guest takes beside its RAM, its page tables included. The heap grows by more than one
    /// guest needs, so guests differ: of three on one CPU the one that took most counts, and of sixteen on four
    /// CPUs the average of the first eight and of the last eight are shown, which are alike if it grows linearly.
    fn memory(&self, figures: &mut Figures) -> Result<()> {
        let (kept, each) = self.memory_of("memory", 1, None, 3)?;
        figures.add("memory kept before guests", kept, "bytes", None);
        figures.add("memory kept per guest", each.iter().copied().max().unwrap_or(0), "bytes", None);
        let (_, each) = self.memory_of("memory-of-16", 4, Some(5120), 16)?;
        figures.add("memory kept for 16 guests", each.iter().sum(), "bytes", None);
        let (first, last) = each.split_at(each.len() / 2);
        for (name, half) in [("each of the first 8", first), ("each of the last 8", last)] {
            let average = half.iter().sum::<u64>() / half.len() as u64;
            figures.add(&format!("memory kept for {name}"), average, "bytes", None);
        }
        Ok(())
    }

    fn memory_of(
        &self,
        name: &str,
        cpus: u32,
        megabytes: Option<u64>,
        guests: u32,
    ) -> Result<(u64, Vec<u64>)> {
        eprintln!("measuring: {name}");
        let mut machine = self.machine();
        machine.cpus = Some(cpus);
        machine.memory = megabytes;
        machine.guests.count = 0;
        let archive = self.context.out.join("bench/host.cpio");
        machine.write_archive(self.context, &archive)?;
        let mut qemu = machine.command(self.context, &self.image, &archive, Terminal::Pipes)?;
        let log = self.context.out.join("bench").join(format!("{name}.log"));
        let mut console = Console::start(self.board.arch, &mut qemu, &log, self.patience, false)?;
        let installed = machine.memory.unwrap_or(self.board.memory) << 20;
        let archive = std::fs::metadata(&archive)?.len();
        let result = memory::kept(&mut console, installed, archive, guests);
        console.stop();
        result.with_context(|| format!("while measuring {name}; see {}", self.context.show(&log)))
    }

    /// The guest program prints lines `BENCH name value unit`, a dash for each blank in a name; on the
    /// bare machine it gives the native figures.
    fn program(&self, figures: &mut Figures) -> Result<()> {
        let mut machine = self.program_machine(PROGRAM);
        machine.attach = true;
        let (_, hosted) = self.measure("program", &mut machine, &[PROGRAM_ENDS])?;
        let words = ["-kernel".into(), self.test_guest.clone().into(), "-append".into(), PROGRAM.into()];
        let (_, native) = self.native("native-program", 1, &words, PROGRAM_ENDS)?;
        figures.add_lines(&hosted, &native);
        Ok(())
    }

    fn linux(&self, figures: &mut Figures) -> Result<()> {
        let mut machine = self.machine();
        let append = format!("console={} {QUIET}", self.board.arch.console);
        machine.guests.append = Some(append.clone());
        machine.attach = true;
        let (hosted, _) = self.measure("linux", &mut machine, &[SHELL])?;
        // What came before is the hypervisor's own start and the copying of the guest's images.
        let begun = Counter::guest_began(self.context)?;
        let before = begun.hypervisor();
        let [kernel, initrd] =
            [Image::Linux, Image::Initrd].map(|image| image.path(self.context, self.board.arch).into());
        let words =
            ["-kernel".into(), kernel, "-initrd".into(), initrd, "-append".into(), OsString::from(append)];
        let (native, _) = self.native("native-linux", 1, &words, SHELL)?;
        if let (Some(hosted), Some(native)) = (hosted.first(), native.first()) {
            figures.add("EL2 in a Linux boot", hosted.hypervisor() - before, "instructions", Some(0));
            // The firmware's part counts as well.
            let all = hosted.all() - begun.all();
            let beyond = (all * 1_000_000 / native.guest()).saturating_sub(1_000_000);
            figures.add("Linux boot beyond the native one", beyond, "ppm", Some(0));
            figures.add("entries to EL2 in a Linux boot", hosted.entries, "entries", Some(0));
            figures.add("guest's own in a Linux boot", hosted.guest(), "instructions", Some(native.guest()));
        }
        Ok(())
    }

    /// Something on the same machine without the hypervisor.
    fn native(&self, name: &str, cpus: u32, words: &[OsString], mark: &str) -> Result<(Vec<Counts>, String)> {
        eprintln!("measuring: {name}");
        let mut machine = self.machine();
        machine.board.machine = machine.board.machine.replace("virtualization=on", "virtualization=off");
        machine.memory = Some(256);
        machine.cpus = Some(cpus);
        let mut qemu = machine.bare(self.context, Terminal::Pipes)?;
        qemu.args(words).args(REPEATABLE).args(self.counter.words(self.context, &[mark], Side::Native)?);
        self.watch(name, &mut qemu, &[mark])
    }
}
