//! `vcpu`: everything that is scheduled, virtual CPUs foremost.
//!
//! As in Xvisor, threads of the hypervisor are listed too ("orphans"), and the number of a virtual CPU is
//! that of its thread. Where a number is asked for, the name will do.

mod monitor;
mod place;
mod schedule;
mod stat;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use atomic::Arc;
use host_thread::{Info, Kind};
use vm_machine::{Guest, Vcpu, VcpuState, manager};

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session, thread};

pub(crate) const COMMAND: Command = Command {
    name: "vcpu",
    about: "control commands for vcpu",
    forms: &[
        Form { words: "list", arguments: "", run: |session, _| list(session, |_| true) },
        Form { words: "orphan_list", arguments: "", run: |s, _| list(s, |kind| kind != Kind::Vcpu) },
        Form { words: "normal_list", arguments: "", run: |s, _| list(s, |kind| kind == Kind::Vcpu) },
        Form { words: "monitor", arguments: "", run: monitor::run },
        Form { words: "reset", arguments: "<vcpu>", run: reset },
        Form { words: "kick", arguments: "<vcpu>", run: kick },
        Form { words: "pause", arguments: "<vcpu>", run: |s, args| order(s, args, Vcpu::pause, "Paused") },
        Form { words: "resume", arguments: "<vcpu>", run: |s, args| order(s, args, Vcpu::resume, "Resumed") },
        Form { words: "halt", arguments: "<vcpu>", run: |s, args| order(s, args, Vcpu::halt, "Halted") },
        Form { words: "set_priority", arguments: "<vcpu> <priority>", run: schedule::priority },
        Form { words: "set_time_slice", arguments: "<vcpu> <duration>", run: schedule::time_slice },
        Form { words: "set_period", arguments: "<vcpu> <duration>", run: schedule::period },
        Form { words: "set_deadline", arguments: "<vcpu> <duration>", run: schedule::deadline },
        Form { words: "set_weight", arguments: "<vcpu> <weight>", run: schedule::weight },
        Form { words: "set_cap", arguments: "<vcpu> <percent>", run: schedule::cap },
        Form { words: "set_hcpu", arguments: "<vcpu> <host_cpu>", run: place::set_hcpu },
        Form { words: "set_affinity", arguments: "<vcpu> <host_cpu> ...", run: place::set_affinity },
        Form { words: "dumpreg", arguments: "<vcpu>", run: dumpreg },
        Form { words: "dumpstat", arguments: "<vcpu>", run: stat::dump },
        Form { words: "time_exits", arguments: "<on|off>", run: stat::time_exits },
    ],
};

/// All virtual CPUs of guests, with the guests.
fn all() -> Vec<(Arc<Guest>, Arc<Vcpu>)> {
    let mut all = Vec::new();
    for guest in manager::list() {
        all.extend(guest.vcpus().iter().map(|vcpu| (guest.clone(), vcpu.clone())));
    }
    all
}

fn number(vcpu: &Vcpu) -> Option<u64> {
    vcpu.thread().map(|thread| thread.id().0)
}

pub(crate) fn names() -> Vec<String> {
    all().into_iter().map(|(_, vcpu)| vcpu.name().to_string()).collect()
}

fn find(args: &Args<'_>) -> Result<(Arc<Guest>, Arc<Vcpu>), Failed> {
    let word = args.text(0)?;
    let id = word.parse().ok();
    let found =
        all().into_iter().find(|(_, vcpu)| vcpu.name() == word || (id.is_some() && number(vcpu) == id));
    found.ok_or_else(|| match orphan(word) {
        Some(thread) => {
            Failed::Because(format!("{} is a thread of the hypervisor, no guest's CPU", thread.name))
        }
        None => Failed::Because(format!("Failed to find vcpu \"{word}\"")),
    })
}

/// The thread of the hypervisor with this number or name.
fn orphan(word: &str) -> Option<Info> {
    let id = word.parse().ok();
    let mut threads = thread::all().into_iter().filter(|thread| thread.attributes.kind != Kind::Vcpu);
    threads.find(|thread| Some(thread.id.0) == id || thread.name == word)
}

fn list(session: &mut Session<'_>, wanted: impl Fn(Kind) -> bool) -> Result<(), Failed> {
    let vcpus = all();
    let state = |thread: &Info| {
        let vcpu = vcpus.iter().find(|(_, vcpu)| number(vcpu) == Some(thread.id.0));
        match vcpu {
            Some((_, vcpu)) => vcpu.state().to_string(),
            None => thread::state(thread.state).to_string(),
        }
    };
    let mut table =
        Table::new([("ID", 7), ("CPU", 7), ("Prio", 7), ("State", 11), ("Name", 34), ("Affinity", 12)]);
    let online = host_thread::online();
    for thread in thread::all().into_iter().filter(|thread| wanted(thread.attributes.kind)) {
        table.row([
            thread.id.0.to_string(),
            thread.cpu.0.to_string(),
            thread.attributes.priority.to_string(),
            state(&thread),
            thread.name,
            thread.affinity.and(online).to_string(),
        ]);
    }
    table.print(session)?;
    Ok(())
}

fn order(
    session: &mut Session<'_>,
    args: &Args<'_>,
    act: impl FnOnce(&Vcpu) -> bool,
    done: &str,
) -> Result<(), Failed> {
    let (_, vcpu) = find(args)?;
    let before = vcpu.state();
    if !act(&vcpu) {
        return Err(Failed::Because(format!("{}: not possible while it is {before}", vcpu.name())));
    }
    writeln!(session, "{}: {done}", vcpu.name())?;
    Ok(())
}

/// A CPU that is off is powered on by its guest; the first one, by whoever starts the guest.
fn kick(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (guest, vcpu) = find(args)?;
    let name = vcpu.name();
    if vcpu.state() != VcpuState::Reset {
        return Err(Failed::Because(format!("{name}: not possible while it is {}", vcpu.state())));
    }
    if vcpu.index() != 0 {
        return Err(Failed::Because(format!("{name}: its guest powers it on (PSCI CPU_ON)")));
    }
    guest.kick().map_err(|error| Failed::Because(format!("{name}: {error}")))?;
    writeln!(session, "{name}: Kicked")?;
    Ok(())
}

/// A CPU of several cannot be reset alone: the others would go on without knowing.
fn reset(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (guest, vcpu) = find(args)?;
    let name = vcpu.name();
    if guest.vcpus().len() > 1 {
        let why = format!(
            "{name}: is one of several CPUs, and the others would go on without knowing; \"guest reset {}\" resets all",
            guest.name()
        );
        return Err(Failed::Because(why));
    }
    guest.reset().map_err(|error| Failed::Because(format!("{name}: {error}")))?;
    writeln!(session, "{name}: Reset")?;
    Ok(())
}

fn dumpreg(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (_, vcpu) = find(args)?;
    vcpu.show(session)?;
    Ok(())
}
