//! `vcpu monitor`: what runs, on the full screen, as `top` shows it. Refreshed every second; `q` leaves.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Write;

use arch::Nanos;
use host_thread::{Info, time};

use super::{all, number};
use crate::load::{Sample, samples, share};
use crate::{Args, Failed, Session, thread};

/// Between two pictures.
const PERIOD: Nanos = Nanos::from_millis(1000);
/// Lines of threads that fit on a small terminal, below those of CPUs and memory.
const LINES: usize = 16;

/// The beginning of a screen: cleared, cursor at its first character, and hidden.
const BEGIN: &str = "\x1b[?25l\x1b[H\x1b[2J";
/// The cursor again, below what was shown.
const END: &str = "\x1b[?25h";

/// What was true at a point of time.
struct Picture {
    at: Nanos,
    threads: Vec<Info>,
    cpus: Vec<Sample>,
}

impl Picture {
    fn now() -> Self {
        let threads = thread::all();
        Self { at: time::now(), cpus: samples(&threads), threads }
    }
}

pub(super) fn run(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut before = Picture::now();
    // The first one after a moment, so that it is not of all time.
    let mut next = before.at.after(Nanos(PERIOD.0 / 4));
    while !leaves(session, next) {
        let now = Picture::now();
        show(session, &before, &now)?;
        next = now.at.after(PERIOD);
        before = now;
    }
    writeln!(session, "{END}")?;
    Ok(())
}

/// Waits until `next`; whether somebody typed that he wants to leave.
fn leaves(session: &mut Session<'_>, next: Nanos) -> bool {
    let terminal = session.terminal();
    let mut typed = [0; 16];
    loop {
        let count = terminal.read(&mut typed);
        let keys = typed.get(..count).unwrap_or_default();
        // Ctrl-C leaves too.
        if keys.iter().any(|key| matches!(key, b'q' | b'Q' | 3)) {
            return true;
        }
        if time::now() >= next {
            return false;
        }
        terminal.wait(Some(next));
    }
}

fn show(session: &mut Session<'_>, before: &Picture, now: &Picture) -> Result<(), Failed> {
    let length = now.at.since(before.at);
    let uptime = now.at.0 / 1_000_000_000;
    write!(session, "{BEGIN}Xvisor, up {}:{:02}:{:02}", uptime / 3600, uptime / 60 % 60, uptime % 60)?;
    writeln!(session, ", {} threads; q leaves", now.threads.len())?;
    for cpu in &now.cpus {
        let earlier = before.cpus.iter().find(|earlier| earlier.cpu == cpu.cpu).copied().unwrap_or_default();
        let since = cpu.since(&earlier);
        writeln!(session, "{}: {:>5}% busy, {:>5}% interrupts", cpu.cpu, since.busy(), since.interrupts())?;
    }
    let memory = host_mem::stats();
    let kib = |frames: u64| frames << (addr::PAGE_SHIFT - 10);
    let used = memory.total_frames.saturating_sub(memory.free_frames);
    writeln!(
        session,
        "RAM: {} KiB free, {} KiB used, {} KiB total",
        kib(memory.free_frames as u64),
        kib(used as u64),
        kib(memory.total_frames as u64)
    )?;
    let vcpus = all();
    let mut rows: Vec<(Nanos, &Info)> =
        now.threads.iter().map(|thread| (ran(thread, before), thread)).collect();
    rows.sort_by(|(a, first), (b, second)| b.cmp(a).then(first.id.cmp(&second.id)));
    writeln!(
        session,
        "{:>5} {:>4} {:>4}  {:<9} {:>6} {:>10}  Name",
        "ID", "CPU", "Prio", "State", "CPU %", "Time (s)"
    )?;
    for (ran, thread) in rows.into_iter().take(LINES) {
        let vcpu = vcpus.iter().find(|(_, vcpu)| number(vcpu) == Some(thread.id.0));
        let state = match vcpu {
            Some((_, vcpu)) => vcpu.state().to_string(),
            None => thread::state(thread.state).to_string(),
        };
        let seconds = thread.stats.running.0 / 10_000_000;
        writeln!(
            session,
            "{:>5} {:>4} {:>4}  {:<9} {:>6} {:>7}.{:02}  {}",
            thread.id.0,
            thread.cpu.0,
            thread.attributes.priority,
            state,
            share(ran, length),
            seconds / 100,
            seconds % 100,
            thread.name
        )?;
    }
    session.flush();
    Ok(())
}

/// How long a thread ran since the earlier picture.
fn ran(thread: &Info, before: &Picture) -> Nanos {
    let earlier = before.threads.iter().find(|earlier| earlier.id == thread.id);
    thread.stats.running.since(earlier.map(|earlier| earlier.stats.running).unwrap_or_default())
}
