//! `thread`: what runs on the host besides virtual CPUs.

use alloc::string::ToString;

use host_thread::{Info, Kind, State};

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "thread",
    about: "control commands for threads",
    forms: &[Form { words: "list", arguments: "", run: list }],
};

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([
        ("ID", 7),
        ("CPU", 6),
        ("Prio", 6),
        ("State", 10),
        ("Running (ms)", 14),
        ("Name", 24),
        ("Affinity", 12),
    ]);
    let online = host_thread::online();
    for thread in all().into_iter().filter(|thread| thread.attributes.kind != Kind::Vcpu) {
        table.row([
            thread.id.0.to_string(),
            thread.cpu.0.to_string(),
            thread.attributes.priority.to_string(),
            state(thread.state).to_string(),
            (thread.stats.running.0 / 1_000_000).to_string(),
            thread.name,
            thread.affinity.and(online).to_string(),
        ]);
    }
    table.print(session)?;
    Ok(())
}

/// All threads, by number.
pub(crate) fn all() -> alloc::vec::Vec<Info> {
    let mut threads = host_thread::list();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// The word for what a thread does.
pub(crate) fn state(state: State) -> &'static str {
    match state {
        State::Running => "Running",
        State::Ready => "Ready",
        State::Parked => "Sleeping",
        State::Ended => "Stopped",
    }
}
