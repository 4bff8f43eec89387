//! `host cpu`: the CPUs of this machine.

use core::fmt::Write;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use arch::{Boot, Clock, CpuId, Machine, Nanos};
use host_cpus::{Info, State};
use host_thread::Kind;

use super::line;
use crate::load::{Sample, samples};
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

/// For how long `stats` looks.
const PERIOD: Nanos = Nanos::from_millis(250);

/// What the CPUs do now: measured while this waits.
pub(super) fn stats(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let before = samples(&thread::all());
    host_thread::sleep(PERIOD);
    let threads = thread::all();
    let now = samples(&threads);
    let mut table = Table::new([
        ("CPU#", 8),
        ("HWID", 14),
        ("Util. (%)", 12),
        ("Idle (%)", 12),
        ("IRQs (%)", 12),
        ("Active VCPUs", 16),
    ]);
    for info in online() {
        // One that came online meanwhile has no time before.
        let of =
            |all: &[Sample]| all.iter().find(|sample| sample.cpu == info.cpu).copied().unwrap_or_default();
        let since = of(&now).since(&of(&before));
        let vcpus = threads.iter().filter(|t| t.cpu == info.cpu && t.attributes.kind == Kind::Vcpu).count();
        table.row([
            info.cpu.0.to_string(),
            format!("{:#x}", info.hardware_id),
            since.busy().to_string(),
            since.idle().to_string(),
            since.interrupts().to_string(),
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
