//! `cargo xtask`: sets up what is missing, builds, runs, tests, checks and measures.
//!
//! It composes ordinary commands (`cargo`, `apt-get`, `dtc`, `qemu-system-…`), shows them with
//! `--verbose`, and writes nothing but the output folder (`build/` unless `--output` says otherwise).
//!
//! One file per sub-command, each with a [`args::Command`] that says what it takes and teaches it;
//! [`COMMANDS`] is the catalog.

#![forbid(unsafe_code)]

mod arch;
mod args;
mod bench;
mod board;
mod build;
mod check;
mod clean;
mod context;
mod cpio;
mod gzip;
mod machine;
mod run;
mod scenarios;
mod setup;
mod shell;
mod start;
mod test;

use std::process::ExitCode;

/// Every sub-command, in the order in which help lists them.
const COMMANDS: &[&args::Command] = &[
    &setup::COMMAND,
    &build::COMMAND,
    &run::COMMAND,
    &test::COMMAND,
    &check::COMMAND,
    &bench::COMMAND,
    &clean::COMMAND,
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", args::indent(&format!("{error:#}"), "       "));
            ExitCode::FAILURE
        }
    }
}

/// Finds the sub-command that `words` begin with and runs it with the rest.
fn dispatch(words: &[String]) -> anyhow::Result<()> {
    let Some((name, rest)) = words.split_first() else {
        print!("{}", args::overview(COMMANDS));
        return Ok(());
    };
    let wanted = match name.as_str() {
        "help" | "--help" | "-h" => match rest.first() {
            None => {
                print!("{}", args::overview(COMMANDS));
                return Ok(());
            }
            Some(topic) => {
                print!("{}", find(topic)?.help());
                return Ok(());
            }
        },
        other => find(other)?,
    };
    let parsed = wanted.parse(rest)?;
    if parsed.flag("help") {
        print!("{}", wanted.help());
        return Ok(());
    }
    let context = context::Context::new(&parsed)?;
    (wanted.run)(&context, &parsed)
}

fn find(name: &str) -> anyhow::Result<&'static args::Command> {
    COMMANDS.iter().copied().find(|command| command.name == name).ok_or_else(|| {
        let known: Vec<&str> = COMMANDS.iter().map(|command| command.name).collect();
        anyhow::anyhow!("there is no sub-command `{name}`; there are: {}, help", known.join(", "))
    })
}
