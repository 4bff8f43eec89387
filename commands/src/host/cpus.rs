//! `host cpu`: the CPUs of this machine.

use core::fmt::Write;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use arch::{Boot, Clock, CpuId, Machine};
use host_cpus::{Info, State};
use host_thread::Kind;

use super::line;
use crate::table::Table;
use crate::{Args, Failed, Session, thread};

fn online() -> Vec<Info> {
    host_cpus::list().into_iter().filter(|info| info.state == State::Online).collect()
}

/// How many CPUs run.
pub(super) fn count() -> usize {
    host_thread::online().iter().count()
}

pub(super) fn info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut kind = String::new();
    Machine::describe(&mut kind)?;
    line(session, "CPU Type", kind.trim_end())?;
    line(session, "CPU Online Count", count())?;
    line(session, "Time Base", format!("{} Hz", Machine::frequency()))?;
    for info in host_cpus::list() {
        let cpu = info.cpu.0;
        line(session, &format!("CPU{cpu} Hardware ID"), format!("{:#x}", info.hardware_id))?;
        let method = if info.method.is_empty() { String::new() } else { format!(" ({})", info.method) };
        line(session, &format!("CPU{cpu} State"), format!("{}{method}", info.state))?;
    }
    Ok(())
}

pub(super) fn stats(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let threads = thread::all();
    let mut table = Table::new([("CPU#", 8), ("HWID", 16), ("Util. (%)", 16), ("Active VCPUs", 39)]);
    for info in online() {
        let here = || threads.iter().filter(|thread| thread.cpu == info.cpu);
        let idle = here().find(|thread| thread.attributes.kind == Kind::Idle).map(|thread| thread.stats);
        // The idle thread lives as long as its CPU runs threads.
        let idle = idle.unwrap_or_default();
        let known = idle.running.after(idle.ready).0.max(1);
        // Tenths of a percent; both fit, since a u64 of nanoseconds divided by 1000 leaves room.
        let tenths = idle.ready.0 / 1000 * 1000 / (known / 1000).max(1);
        let vcpus = here().filter(|thread| thread.attributes.kind == Kind::Vcpu).count();
        table.row([
            info.cpu.0.to_string(),
            format!("{:#x}", info.hardware_id),
            format!("{}.{}", tenths / 10, tenths % 10),
            vcpus.to_string(),
        ]);
    }
    table.print(session)?;
    Ok(())
}

/// Interrupts one CPU, or all, and waits for the answer.
pub(super) fn poke(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let wanted = match args.given(0) {
        Some(_) => Some(cpu(args, 0)?),
        None => None,
    };
    for info in online().into_iter().filter(|info| wanted.is_none_or(|wanted| wanted == info.cpu)) {
        let answer = if host_cpus::poke(info.cpu) { "Done" } else { "Timeout" };
        writeln!(session, "{}: Poke using async IPI ... {answer}", info.cpu)?;
    }
    Ok(())
}

pub(super) fn bring_up(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let cpu = CpuId(args.number(0)?);
    host_cpus::online(cpu).map_err(Failed::because)?;
    writeln!(session, "{cpu}: Online")?;
    Ok(())
}

pub(super) fn take_down(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let cpu = CpuId(args.number(0)?);
    host_cpus::offline(cpu).map_err(Failed::because)?;
    writeln!(session, "{cpu}: Offline")?;
    Ok(())
}

/// Argument `index`, the number of a CPU that is online.
pub(crate) fn cpu(args: &Args<'_>, index: usize) -> Result<CpuId, Failed> {
    let cpu = CpuId(args.number(index)?);
    if host_thread::online().contains(cpu) {
        Ok(cpu)
    } else {
        Err(Failed::because(format!("{cpu} is not online; online are {}", host_thread::online())))
    }
}

pub(crate) fn names() -> Vec<String> {
    host_cpus::list().into_iter().map(|info| info.cpu.0.to_string()).collect()
}
