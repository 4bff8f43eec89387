//! `vcpu set_hcpu`, `vcpu set_affinity`: where a virtual CPU runs.

use core::fmt::Write;

use alloc::format;

use arch::CpuId;
use host_thread::{CpuSet, Thread};

use super::find;
use crate::{Args, Failed, Session, host};

fn thread(args: &Args<'_>) -> Result<Thread, Failed> {
    let (_, vcpu) = find(args)?;
    let gone = || Failed::because(format!("{}: has ended", vcpu.name()));
    vcpu.thread().cloned().ok_or_else(gone)
}

/// Takes it to another CPU; its affinity has to allow that, and stays.
pub(super) fn set_hcpu(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let thread = thread(args)?;
    let cpu = host::cpu(args, 1)?;
    let name = thread.name();
    if !thread.affinity().contains(cpu) {
        let allowed = thread.affinity();
        return Err(Failed::because(format!("{name}: its affinity {allowed} does not allow {cpu}")));
    }
    thread.move_to(cpu).map_err(|why| Failed::because(format!("{name}: {why}")))?;
    writeln!(session, "{name}: Host {cpu} set")?;
    Ok(())
}

pub(super) fn set_affinity(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let thread = thread(args)?;
    let cpus = (1..args.count()).map(|index| host::cpu(args, index));
    let set = cpus.collect::<Result<alloc::vec::Vec<CpuId>, Failed>>()?.into_iter().collect::<CpuSet>();
    let name = thread.name();
    thread.set_affinity(set).map_err(|why| Failed::because(format!("{name}: {why}")))?;
    writeln!(session, "{name}: Affinity {set} set")?;
    Ok(())
}
