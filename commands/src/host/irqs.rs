//! `host irq`: interrupts of this machine.

use core::fmt::Write;

use alloc::format;
use alloc::string::{String, ToString};

use super::cpus;
use crate::{Args, Failed, Session};

/// One column of counts for each CPU that is online, so no table of fixed width.
pub(super) fn stats(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let online: alloc::vec::Vec<_> = host_thread::online().iter().collect();
    let width = 67 + 13 * online.len();
    let rule = "-".repeat(width);
    let mut head = String::new();
    for cpu in &online {
        write!(head, " {:<12}", cpu.to_string())?;
    }
    writeln!(session, "{rule}")?;
    writeln!(session, " {:<7} {:<9} {:<23} {:<23}{head}", "IRQ#", "HWIRQ#", "Name", "Chip")?;
    writeln!(session, "{rule}")?;
    for irq in host_irq::stats().into_iter().filter(|irq| irq.enabled || irq.count > 0) {
        let mut counts = String::new();
        for cpu in &online {
            write!(counts, " {:<12}", irq.of(*cpu))?;
        }
        let (name, chip) = (irq.name.as_str(), irq.chip.as_str());
        writeln!(session, " {:<7} {:<9} {name:<23} {chip:<23}{counts}", irq.irq, irq.own)?;
    }
    writeln!(session, "{rule}")?;
    Ok(())
}

pub(super) fn set_affinity(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let irq: u32 = args.number(0)?;
    let cpu = cpus::cpu(args, 1)?;
    host_irq::set_affinity(irq, cpu).map_err(|why| Failed::because(format!("{why}")))?;
    writeln!(session, "irq {irq}: goes to {cpu}")?;
    Ok(())
}
