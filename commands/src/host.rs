//! `host`: what this machine is, and how it is used.

mod devices;
mod sched;

pub(crate) use devices::{PLATFORM, classes};

use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::Write;

use arch::{Boot, Clock, Cpu, IrqsOff, LocalIrqs, Machine};
use host_thread::Kind;

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session, thread, tree};

pub(crate) const COMMAND: Command = Command {
    name: "host",
    about: "host information",
    forms: &[
        Form { words: "info", arguments: "", run: info },
        Form { words: "cpu info", arguments: "", run: cpu_info },
        Form { words: "cpu stats", arguments: "", run: cpu_stats },
        Form { words: "irq stats", arguments: "", run: irq_stats },
        Form { words: "sched", arguments: "", run: sched::show },
        Form { words: "ram info", arguments: "", run: ram_info },
        Form { words: "resources", arguments: "", run: resources },
        Form { words: "bus_list", arguments: "", run: devices::bus_list },
        Form { words: "bus_device_list", arguments: "<bus>", run: devices::bus_device_list },
        Form { words: "class_list", arguments: "", run: devices::class_list },
        Form { words: "class_device_list", arguments: "<class>", run: devices::class_device_list },
    ],
};

fn line(session: &mut Session<'_>, label: &str, value: impl core::fmt::Display) -> Result<(), Failed> {
    writeln!(session, "{label:<25}: {value}")?;
    Ok(())
}

fn hardware_id() -> u64 {
    Machine::hardware_id(&IrqsOff::now())
}

fn info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let model = tree::with(|tree| {
        let root = tree.root();
        let model = root.str_opt("model").ok().flatten().or_else(|| root.compatibles().next());
        model.unwrap_or("unknown").to_string()
    });
    let memory = host_mem::stats();
    line(session, "Host Name", model)?;
    line(session, "Boot CPU Hardware ID", format!("{:#x}", hardware_id()))?;
    line(session, "Total Online CPUs", 1)?;
    line(session, "Total RAM", format!("{} MB", memory.total_frames >> (20 - addr::PAGE_SHIFT)))?;
    line(session, "Free RAM", format!("{} MB", memory.free_frames >> (20 - addr::PAGE_SHIFT)))
}

fn cpu_info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut kind = String::new();
    Machine::describe(&mut kind)?;
    line(session, "CPU Type", kind.trim_end())?;
    line(session, "CPU Online Count", 1)?;
    line(session, "Time Base", format!("{} Hz", Machine::frequency()))?;
    line(session, "CPU0 Hardware ID", format!("{:#x}", hardware_id()))
}

fn cpu_stats(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let threads = thread::all();
    let uptime = Machine::now().0.max(1);
    let idle: u64 = threads
        .iter()
        .filter(|thread| thread.attributes.kind == Kind::Idle)
        .map(|thread| thread.stats.running.0)
        .sum();
    let busy = uptime.saturating_sub(idle);
    // Tenths of a percent; both fit, since a u64 of nanoseconds divided by 1000 leaves room.
    let tenths = busy / 1000 * 1000 / (uptime / 1000).max(1);
    let vcpus = threads.iter().filter(|thread| thread.attributes.kind == Kind::Vcpu).count();
    let mut table = Table::new([("CPU#", 8), ("HWID", 16), ("Util. (%)", 16), ("Active VCPUs", 39)]);
    table.row([
        Machine::id(&IrqsOff::now()).0.to_string(),
        format!("{:#x}", hardware_id()),
        format!("{}.{}", tenths / 10, tenths % 10),
        vcpus.to_string(),
    ]);
    table.print(session)?;
    Ok(())
}

fn irq_stats(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("IRQ#", 8), ("HWIRQ#", 10), ("Name", 24), ("Chip", 24), ("CPU0", 13)]);
    for irq in host_irq::stats().into_iter().filter(|irq| irq.enabled || irq.count > 0) {
        table.row([irq.irq.to_string(), irq.own.to_string(), irq.name, irq.chip, irq.count.to_string()]);
    }
    table.print(session)?;
    Ok(())
}

fn ram_info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let stats = host_mem::stats();
    line(session, "Frame Size", format!("{} (0x{:08x})", addr::PAGE_SIZE, addr::PAGE_SIZE))?;
    line(session, "Bank Count", stats.banks.len())?;
    line(session, "Total Free Frames", format!("{0} (0x{0:08x})", stats.free_frames))?;
    line(session, "Total Frame Count", format!("{0} (0x{0:08x})", stats.total_frames))?;
    for (number, bank) in stats.banks.iter().enumerate() {
        writeln!(session)?;
        line(session, &format!("Bank{number} Start"), bank.span.base())?;
        line(session, &format!("Bank{number} Size"), format!("0x{:016x}", bank.span.length()))?;
        line(session, &format!("Bank{number} Free Frames"), format!("{0} (0x{0:08x})", bank.free_frames))?;
        line(
            session,
            &format!("Bank{number} Frame Count"),
            format!("{0} (0x{0:08x})", bank.span.length() >> addr::PAGE_SHIFT),
        )?;
    }
    Ok(())
}

fn resources(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut rows: alloc::vec::Vec<_> =
        host_mem::resources().into_iter().map(|resource| (resource.span, resource.owner)).collect();
    rows.extend(host_mem::stats().banks.iter().map(|bank| (bank.span, "System RAM".into())));
    rows.sort_by_key(|(span, _)| span.base());
    for (span, owner) in rows {
        writeln!(session, "[{} - {}] {owner}", span.base(), span.last())?;
    }
    Ok(())
}
