//! `version`: which hypervisor this is.

use core::fmt::Write;

use crate::{Args, Command, Failed, Form, Session};

/// The first line of the boot log, and what `version` prints.
pub const BANNER: &str = concat!("Xvisor v", env!("CARGO_PKG_VERSION"));

pub(crate) const COMMAND: Command = Command {
    name: "version",
    about: "show version of hypervisor",
    forms: &[Form { words: "", arguments: "", run: version }],
};

fn version(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    writeln!(session, "{BANNER}")?;
    Ok(())
}
