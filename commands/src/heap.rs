//! `heap`: memory that the hypervisor uses for itself.

use core::fmt::Write;

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "heap",
    about: "show heap status",
    forms: &[
        Form { words: "info", arguments: "", run: info },
        Form { words: "state", arguments: "", run: state },
    ],
};

/// Bytes as KB with three decimals.
fn kilobytes(session: &mut Session<'_>, label: &str, bytes: usize) -> Result<(), Failed> {
    writeln!(session, "{label:<20}: {}.{:03} KB", bytes / 1024, bytes % 1024 * 1000 / 1024)?;
    Ok(())
}

fn info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let stats = host_mem::heap_stats();
    kilobytes(session, "Used Size", stats.used)?;
    kilobytes(session, "Free Size", stats.size.saturating_sub(stats.used))?;
    kilobytes(session, "Total Size", stats.size)
}

fn state(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    info(session, args)?;
    let stats = host_mem::heap_stats();
    kilobytes(session, "Large Pieces", stats.large)?;
    writeln!(session, "{:<20}: {}", "Pieces", stats.allocations)?;
    Ok(())
}
