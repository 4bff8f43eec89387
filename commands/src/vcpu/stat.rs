//! `vcpu dumpstat`: what a virtual CPU did with its time, and what its exits were for.

use alloc::format;
use alloc::string::ToString;
use core::fmt::Write;

use arch::Nanos;
use cmdline::parse;
use host_thread::Info;
use vm_machine::Rest;
use vm_vcpu::{ExitKind, exits_are_timed};

use super::{find, number, orphan, schedule};
use crate::{Args, Failed, Session, thread};

/// Hours, minutes, seconds and milliseconds, as Xvisor writes them.
fn time(length: Nanos) -> alloc::string::String {
    let millis = length.0 / 1_000_000;
    let seconds = millis / 1000;
    format!("{}:{:02}:{:02}:{:03}", seconds / 3600, seconds / 60 % 60, seconds % 60, millis % 1000)
}

pub(super) fn dump(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (guest, vcpu) = match find(args) {
        Ok(found) => found,
        Err(failed) => {
            let thread = orphan(args.text(0)?).ok_or(failed)?;
            return dump_orphan(session, &thread);
        }
    };
    let id = number(&vcpu);
    let thread = thread::all()
        .into_iter()
        .find(|thread| Some(thread.id.0) == id)
        .ok_or_else(|| Failed::Because(format!("{}: has ended", vcpu.name())))?;
    let stats = thread.stats;
    let total = stats.ready.after(stats.running).after(stats.parked);
    let [paused, halted, off] = [Rest::Paused, Rest::Halted, Rest::Off].map(|why| vcpu.rested(why));
    let waiting = stats.parked.since(paused.after(halted).after(off));
    let (_, reset_at) = guest.resets();
    let exits = |kind| vcpu.exits().map(|exits| exits.of(kind)).unwrap_or_default();
    let system = ExitKind::ALL.iter().fold(Nanos(0), |sum, kind| sum.after(exits(*kind).1));
    let system = match (system.0, exits_are_timed()) {
        (0, false) => "not measured (vcpu time_exits on)".to_string(),
        (_, true) => time(system),
        (_, false) => format!("{} (measured no longer)", time(system)),
    };
    let rows = [
        ("Name", vcpu.name().to_string()),
        ("State", vcpu.state().to_string()),
        ("Priority", thread.attributes.priority.to_string()),
        ("Host CPU", thread.cpu.0.to_string()),
        ("Ready Time", time(stats.ready)),
        ("Running Time", time(stats.running)),
        ("Waiting Time", time(waiting)),
        ("Paused Time", time(paused)),
        ("Halted Time", time(halted)),
        ("Off Time", time(off)),
        ("Total Time", time(total)),
        ("System Time", system),
        ("Switches", stats.switches.to_string()),
        ("Reset Count", vcpu.resets().to_string()),
        ("Last Reset Since", time(host_thread::time::now().since(reset_at))),
    ];
    for (label, value) in rows.into_iter().chain(schedule::rows(&thread.attributes)) {
        writeln!(session, "{label:<25}: {value}")?;
    }
    for kind in ExitKind::ALL {
        let (count, length) = exits(kind);
        if count > 0 {
            write!(session, "Exits: {:<18}: {count}", kind.name())?;
            if length.0 > 0 {
                write!(session, " in {} us", length.0 / 1000)?;
            }
            writeln!(session)?;
        }
    }
    Ok(())
}

/// A thread of the hypervisor has no guest's states and no exits.
fn dump_orphan(session: &mut Session<'_>, thread: &Info) -> Result<(), Failed> {
    let stats = thread.stats;
    let rows = [
        ("Name", thread.name.clone()),
        ("State", thread::state(thread.state).to_string()),
        ("Priority", thread.attributes.priority.to_string()),
        ("Host CPU", thread.cpu.0.to_string()),
        ("Ready Time", time(stats.ready)),
        ("Running Time", time(stats.running)),
        ("Waiting Time", time(stats.parked)),
        ("Total Time", time(stats.ready.after(stats.running).after(stats.parked))),
        ("Switches", stats.switches.to_string()),
    ];
    for (label, value) in rows.into_iter().chain(schedule::rows(&thread.attributes)) {
        writeln!(session, "{label:<25}: {value}")?;
    }
    Ok(())
}

pub(super) fn time_exits(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let measure = args.parsed(0, parse::switch)?;
    vm_vcpu::time_exits(measure);
    writeln!(session, "Exits are {}", if measure { "timed" } else { "not timed" })?;
    Ok(())
}
