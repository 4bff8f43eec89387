//! `host`: what this machine is, and how it is used.

mod cpus;
mod devices;
mod irqs;
mod sched;

pub(crate) use cpus::{cpu, names as cpu_names};
pub(crate) use devices::{PLATFORM, classes};

use alloc::format;
use alloc::string::ToString;
use core::fmt::Write;

use arch::{CpuId, IrqsOff, LocalIrqs, Machine, Processors};

use crate::{Args, Command, Failed, Form, Session, tree};

pub(crate) const COMMAND: Command = Command {
    name: "host",
    about: "host information",
    forms: &[
        Form { words: "info", arguments: "", run: info },
        Form { words: "cpu info", arguments: "", run: cpus::info },
        Form { words: "cpu stats", arguments: "", run: cpus::stats },
        Form { words: "cpu poke", arguments: "[<host_cpu>]", run: cpus::poke },
        Form { words: "cpu online", arguments: "<host_cpu>", run: cpus::bring_up },
        Form { words: "cpu offline", arguments: "<host_cpu>", run: cpus::take_down },
        Form { words: "irq stats", arguments: "", run: irqs::stats },
        Form { words: "irq set_affinity", arguments: "<irq> <host_cpu>", run: irqs::set_affinity },
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

fn info(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let model = tree::with(|tree| {
        let root = tree.root();
        let model = root.str_opt("model").ok().flatten().or_else(|| root.compatibles().next());
        model.unwrap_or("unknown").to_string()
    });
    let memory = host_mem::stats();
    let boot = Machine::hardware_id_of(CpuId(0)).unwrap_or(0);
    line(session, "Host Name", model)?;
    line(session, "Boot CPU Hardware ID", format!("{boot:#x}"))?;
    line(session, "Total Online CPUs", cpus::count())?;
    line(session, "Interrupts between CPUs", Machine::ipis(&IrqsOff::now()))?;
    line(session, "Total RAM", format!("{} MB", memory.total_frames >> (20 - addr::PAGE_SHIFT)))?;
    line(session, "Free RAM", format!("{} MB", memory.free_frames >> (20 - addr::PAGE_SHIFT)))
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
