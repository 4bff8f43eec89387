//! `echo`: says what it is told.

use core::fmt::Write;

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "echo",
    about: "Echo given message on standard output",
    forms: &[Form { words: "", arguments: "[<message>] ...", run: echo }],
};

fn echo(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    writeln!(session, "{}", args.rest(0).join(" "))?;
    Ok(())
}
