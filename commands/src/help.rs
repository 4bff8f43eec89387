//! `help`: which commands there are, and how they are used.

use core::fmt::Write;

use crate::{Args, COMMANDS, Command, Failed, Form, Session, session};

pub(crate) const COMMAND: Command = Command {
    name: "help",
    about: "displays list of all commands",
    forms: &[Form { words: "", arguments: "[<command>] ...", run: help }],
};

fn help(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    if args.count() == 0 {
        for command in COMMANDS {
            writeln!(session, "{:<12} - {}", command.name, command.about)?;
        }
        return Ok(());
    }
    for name in args.rest(0) {
        let command = session::find(name)
            .ok_or_else(|| Failed::Because(alloc::format!("Cannot find command {name}")))?;
        writeln!(session, "{:<12} - {}", command.name, command.about)?;
        session::usage(session, command)?;
    }
    Ok(())
}
