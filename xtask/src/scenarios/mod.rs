//! Whole-system tests: scripts that type at the hypervisor's console and read it.
//!
//! To add one: a [`Scenario`] in one of the files here, or a new file with a table of its own and a
//! line in [`TABLES`].

mod aia;
mod boot;
mod faults;
mod firmware;
mod lifecycle;
mod linux;
mod mischief;
mod riscv;
mod sched;
mod smp;
mod start;
mod terminal;

use anyhow::Result;

use crate::board::Board;
use crate::context::Context;
use crate::machine::Machine;
use crate::test::console::Console;

/// One test of the whole.
pub(crate) struct Scenario {
    /// What `--only` takes: words with dashes.
    pub(crate) name: &'static str,
    /// What it shows, in one line.
    pub(crate) about: &'static str,
    /// Where it runs: names of `boards/*.toml`. `test --board` may also take it to any other board of one of
    /// their architectures.
    pub(crate) boards: &'static [&'static str],
    /// Changes to the board, the guests and what happens at start.
    pub(crate) machine: fn(&mut Machine),
    /// What is typed and expected.
    pub(crate) script: fn(&mut Console) -> Result<()>,
}

/// Every file's table, the quickest and most telling first.
const TABLES: &[&[Scenario]] = &[
    boot::SCENARIOS,
    terminal::SCENARIOS,
    linux::SCENARIOS,
    riscv::SCENARIOS,
    aia::SCENARIOS,
    lifecycle::SCENARIOS,
    firmware::SCENARIOS,
    start::SCENARIOS,
    mischief::SCENARIOS,
    sched::SCENARIOS,
    smp::SCENARIOS,
    faults::SCENARIOS,
];

/// What takes minutes, or differs little from what runs anyway: these run where they are asked for, by `--all`, or
/// `--only` with the scenario's whole name; and so on boards to which only `--board` takes them.
const WHEN_ASKED: &[(&str, &str)] = &[
    ("on-sbi-next", "qemu-riscv64-virt"),
    ("on-sbi-next", "qemu-riscv64-imsic"),
    ("linux-on-2g", "qemu-riscv64-aplic"),
    ("linux-on-512m", "qemu-riscv64-imsic"),
    ("linux-on-rv64", "qemu-riscv64-aplic"),
    ("a-thousand-guests", "qemu-riscv64-virt"),
    ("five-hundred-orders", "qemu-riscv64-virt"),
    ("sixteen-guests", "qemu-riscv64-virt"),
    ("thirty-two-cpus", "qemu-riscv64-virt"),
];

/// What is about the boards that it names: `--board` takes it to no other.
const THERE_ALONE: &[&str] = &[
    "eight-vcpus-with-imsic",
    "files-in-two-groups",
    "guest-interrupt-files",
    "host-without-plic",
    "imsic-guest-refused",
    "ipis-by-imsic",
    "ipis-by-sswi",
    "linux-where-less-is-there",
    "linux-without-ssaia",
    "messages-on-the-move",
    "mischief-with-aia",
    "no-interrupt-files",
    "selfcheck-with-imsic",
    "two-groups",
    "two-sockets",
];

/// All scenarios, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Scenario> {
    TABLES.iter().copied().flatten()
}

/// A scenario on one of its boards.
pub(crate) struct Case {
    pub(crate) scenario: &'static Scenario,
    pub(crate) board: Board,
}

/// Which cases are meant.
#[derive(Default)]
pub(crate) struct Wanted<'a> {
    /// This board alone, with all that runs on its architecture.
    pub(crate) board: Option<&'a str>,
    /// Those alone whose name contains one of these.
    pub(crate) only: Vec<&'a str>,
    /// Those too that run only when asked for.
    pub(crate) all: bool,
}

impl Wanted<'_> {
    fn wants(&self, case: &Case) -> bool {
        let name = case.name();
        let is_named = self.only.is_empty() || self.only.iter().any(|part| name.contains(part));
        let is_asked = |part: &&str| part.contains(case.scenario.name);
        is_named && (self.all || !case.runs_when_asked() || self.only.iter().any(is_asked))
    }
}

impl Case {
    /// Every scenario on each of its boards; where one board is wanted, on that one those that run on its
    /// architecture.
    pub(crate) fn all(context: &Context, choice: &Wanted<'_>) -> Result<Vec<Self>> {
        let mut cases = Vec::new();
        let wanted = choice.board.map(|name| Board::load(context, name)).transpose()?;
        for scenario in all() {
            let boards = scenario.boards.iter().map(|name| Board::load(context, name));
            let boards: Vec<Board> = boards.collect::<Result<_>>()?;
            match &wanted {
                None => cases.extend(boards.into_iter().map(|board| Self { scenario, board })),
                Some(wanted)
                    if boards.iter().any(|board| {
                        board.name == wanted.name
                            || board.arch == wanted.arch && !THERE_ALONE.contains(&scenario.name)
                    }) =>
                {
                    cases.push(Self { scenario, board: wanted.clone() });
                }
                Some(_) => {}
            }
        }
        cases.retain(|case| choice.wants(case));
        Ok(cases)
    }

    /// Whether it is one of those that run only when asked for.
    pub(crate) fn runs_when_asked(&self) -> bool {
        let listed = |board: &str| self.scenario.boards.contains(&board);
        let is_this = |(name, board): &&(&str, &str)| {
            *name == self.scenario.name && (*board == self.board.name || !listed(&self.board.name))
        };
        WHEN_ASKED.iter().any(|row| is_this(&row))
    }

    /// The machine that it runs on.
    pub(crate) fn machine(&self) -> Machine {
        let mut machine = Machine::new(self.board.clone());
        (self.scenario.machine)(&mut machine);
        machine
    }

    /// The scenario's name, and the board's where it is not the scenario's first.
    pub(crate) fn name(&self) -> String {
        let (name, board) = (self.scenario.name, &self.board.name);
        if self.scenario.boards.first() == Some(&board.as_str()) {
            name.to_owned()
        } else {
            format!("{name}@{board}")
        }
    }
}

/// Seconds from power-on to the first prompt, with room for a busy machine.
const BOOT: u64 = 60;

/// Seconds in which a guest's Linux has come up, with room for a busy machine and a second guest.
const LINUX: u64 = 180;

/// What the guest's `init` prints when its shell is about to start.
const LINUX_UP: &str = "The guest is up: Linux";

/// The guest's shell is waiting.
const SHELL: &str = "guest:/# ";

/// Types a command at the guest's shell and waits until it has printed `wanted` and prompts again.
fn shell(console: &mut Console, command: &str, wanted: &str) -> Result<()> {
    console.line(command)?;
    console.expect(wanted, 30)?;
    console.expect(SHELL, 30).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_a_board_and_no_board_twice() {
        for scenario in all() {
            let mut boards = scenario.boards.to_vec();
            boards.sort_unstable();
            boards.dedup();
            assert!(!boards.is_empty() && boards.len() == scenario.boards.len(), "{}", scenario.name);
        }
    }

    #[test]
    fn what_runs_when_asked_is_there() {
        for (name, board) in WHEN_ASKED {
            let found = all().find(|scenario| scenario.name == *name);
            assert!(found.is_some_and(|scenario| scenario.boards.contains(board)), "{name}@{board}");
        }
    }

    #[test]
    fn a_long_case_runs_when_its_whole_name_is_given() {
        let context = Context::new(&crate::args::Parsed::default()).unwrap();
        let has = |wanted: &Wanted<'_>, name: &str| {
            Case::all(&context, wanted).unwrap().iter().any(|case| case.name() == name)
        };
        let long = "sixteen-guests@qemu-riscv64-virt";
        let only = |name| Wanted { only: vec![name], ..Wanted::default() };
        assert!(!has(&Wanted::default(), long) && has(&Wanted::default(), "sixteen-guests"));
        assert!(!has(&only("guests"), long) && !has(&only("smp-linux"), long));
        assert!(has(&only("sixteen-guests"), long) && has(&only(long), long));
        assert!(has(&Wanted { all: true, ..Wanted::default() }, long));
        let elsewhere = "sixteen-guests@qemu-riscv64-aplic";
        let board = Some("qemu-riscv64-aplic");
        assert!(!has(&Wanted { board, ..Wanted::default() }, elsewhere));
        assert!(has(&Wanted { board, all: true, ..Wanted::default() }, elsewhere));
    }

    #[test]
    fn what_is_about_a_board_is_there_and_goes_nowhere_else() {
        let context = Context::new(&crate::args::Parsed::default()).unwrap();
        let on = |board| Case::all(&context, &Wanted { board: Some(board), ..Wanted::default() }).unwrap();
        for name in THERE_ALONE {
            assert!(all().any(|scenario| scenario.name == *name), "{name}");
        }
        let has = |cases: &[Case]| cases.iter().any(|case| case.scenario.name == "host-without-plic");
        assert!(has(&on("qemu-riscv64-virt")) && !has(&on("qemu-riscv64-imsic")));
    }

    #[test]
    fn scenarios_have_names_of_their_own() {
        let mut names: Vec<&str> = all().map(|scenario| scenario.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
