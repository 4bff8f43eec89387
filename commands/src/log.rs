//! `log`: what the hypervisor said, and how much of it reaches the console.

use core::fmt::Write;

use host_log::Level;

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "log",
    about: "show what the hypervisor said",
    forms: &[
        Form { words: "show", arguments: "[<lines>]", run: show },
        Form { words: "level", arguments: "", run: level },
        Form { words: "change_level", arguments: "<level>", run: change_level },
    ],
};

fn show(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let lines = args.number_or(0, usize::MAX)?;
    host_log::show(session, lines)?;
    Ok(())
}

/// The levels by number. Xvisor's go to 6 (info); 7 adds what is for those who work on the hypervisor.
const LEVELS: [Level; 8] = [
    Level::Emergency,
    Level::Alert,
    Level::Critical,
    Level::Error,
    Level::Warning,
    Level::Note,
    Level::Info,
    Level::Debug,
];

pub(crate) fn level(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let number = LEVELS.iter().take_while(|level| **level != host_log::level()).count();
    writeln!(session, "Default log level : {number}")?;
    Ok(())
}

pub(crate) fn change_level(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let number: usize = args.number(0)?;
    let level = LEVELS.get(number).ok_or_else(|| {
        Failed::Because(alloc::format!("<level>: {number} is none of 0 to {}", LEVELS.len() - 1))
    })?;
    host_log::set_level(*level);
    writeln!(session, "New log level: {number}")?;
    Ok(())
}
