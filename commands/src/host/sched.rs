//! `host sched`: which policy schedules which CPU, and how it stands.

use alloc::string::ToString;
use core::fmt::Write;

use host_thread::policy::SCHEDULERS;

use crate::table::Table;
use crate::{Args, Failed, Session};

pub(super) fn show(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("CPU", 6), ("Policy", 12), ("Faults", 9), ("State", 52)]);
    for cpu in host_thread::policies() {
        let state = if cpu.state.is_empty() { "---".to_string() } else { cpu.state };
        table.row([cpu.cpu.0.to_string(), cpu.name.to_string(), cpu.faults.to_string(), state]);
    }
    table.print(session)?;
    writeln!(session, "To be chosen at boot by vmm.sched=NAME or vmm.sched=NAME@CPUS,...:")?;
    for scheduler in SCHEDULERS {
        writeln!(session, "  {:<10} {}", scheduler.name, scheduler.about)?;
    }
    Ok(())
}
