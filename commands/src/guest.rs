//! `guest`: machines for guests, from their description to their end.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use addr::{Gpa, Span};
use arch::{Rights, Width};
use atomic::Arc;
use host_mem::GuestRam;
use vm_machine::{Guest, LifeError, manager};

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session, hexdump, tree};

pub(crate) const COMMAND: Command = Command {
    name: "guest",
    about: "control commands for guest",
    forms: &[
        Form { words: "list", arguments: "", run: list },
        Form { words: "info", arguments: "<guest>", run: info },
        Form { words: "create", arguments: "<new_guest>", run: create },
        Form { words: "destroy", arguments: "<guest>", run: destroy },
        Form {
            words: "reset",
            arguments: "<guest>",
            run: |s, args| order(s, args, |guest| guest.reset(), "Reset"),
        },
        Form {
            words: "kick",
            arguments: "<guest>",
            run: |s, args| order(s, args, |guest| guest.kick(), "Kicked"),
        },
        Form {
            words: "pause",
            arguments: "<guest>",
            run: |s, args| order(s, args, |guest| guest.pause(), "Paused"),
        },
        Form {
            words: "resume",
            arguments: "<guest>",
            run: |s, args| order(s, args, |guest| guest.resume(), "Resumed"),
        },
        Form {
            words: "halt",
            arguments: "<guest>",
            run: |s, args| order(s, args, |guest| guest.halt(), "Halted"),
        },
        Form { words: "dumpmem", arguments: "<guest> <gphys_addr> [<byte_count>]", run: dumpmem },
        Form { words: "region_list", arguments: "<guest>", run: region_list },
        Form { words: "region", arguments: "<guest> <gphys_addr>", run: region },
    ],
};

/// A guest that a command works on.
pub(crate) type Handle = Arc<Guest>;

/// The guest of this name.
pub(crate) fn find(name: &str) -> Result<Handle, Failed> {
    manager::find(name).ok_or_else(|| Failed::Because(format!("Failed to find guest \"{name}\"")))
}

pub(crate) fn names() -> Vec<String> {
    manager::list().iter().map(|guest| guest.name().to_string()).collect()
}

/// A guest's memory.
pub(crate) fn memory(guest: &Guest) -> &GuestRam {
    guest.memory()
}

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table =
        Table::new([("ID", 6), ("Name", 18), ("Endianness", 14), ("State", 12), ("Device Path", 28)]);
    for guest in manager::list() {
        table.row([
            guest.id().to_string(),
            guest.name().to_string(),
            "little".to_string(),
            guest.state().to_string(),
            format!("{}/{}", tree::GUESTS, guest.name()),
        ]);
    }
    table.print(session)?;
    Ok(())
}

fn info(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let guest = find(args.text(0)?)?;
    let memory: u64 = guest
        .memory()
        .regions()
        .iter()
        .filter(|region| region.rights() != Rights::Registers)
        .map(|region| region.span().length())
        .sum();
    let (resets, reset_at) = guest.resets();
    let since = host_thread::time::now().since(reset_at).0 / 1_000_000_000;
    for (label, value) in [
        ("Name", guest.name().to_string()),
        ("State", guest.state().to_string()),
        ("VCPUs", guest.vcpus().len().to_string()),
        ("Memory", format!("{} KB", memory / 1024)),
        ("Devices", guest.devices().len().to_string()),
        ("Reset Count", resets.to_string()),
        ("Last Reset Since", format!("{since} s")),
    ] {
        writeln!(session, "{label:<25}: {value}")?;
    }
    Ok(())
}

fn create(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let name = args.text(0)?;
    let missing = || Failed::Because(format!("failed to find {name} node under {}", tree::GUESTS));
    // A copy, since building a machine takes long and the tree may be edited meanwhile.
    let descriptions = tree::copy_of(tree::GUESTS).map_err(|_| missing())?;
    let node = descriptions.root().children().find(|node| node.name() == name).ok_or_else(missing)?;
    manager::create(node).map_err(|error| Failed::Because(format!("{name}: Failed to create: {error}")))?;
    writeln!(session, "{name}: Created")?;
    Ok(())
}

fn destroy(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    order(session, args, manager::destroy, "Destroyed")
}

fn order(
    session: &mut Session<'_>,
    args: &Args<'_>,
    act: impl FnOnce(&Handle) -> Result<(), LifeError>,
    done: &str,
) -> Result<(), Failed> {
    let name = args.text(0)?;
    let guest = find(name)?;
    act(&guest).map_err(|error| Failed::Because(format!("{name}: {error}")))?;
    writeln!(session, "{name}: {done}")?;
    Ok(())
}

/// Bytes shown when nobody says how many.
const DUMP: u64 = 64;
/// Bytes copied out of the guest at a time.
const PIECE: usize = 1024;

fn dumpmem(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let name = args.text(0)?;
    let guest = find(name)?;
    let base: u64 = args.number(1)?;
    let length: u64 = args.number_or(2, DUMP)?;
    let span = Span::<Gpa>::new(Gpa::new(base & !3), length).ok_or_else(|| {
        Failed::Because(format!("{length} bytes at {base:#x} reach beyond the last address"))
    })?;
    writeln!(session, "{name} physical memory {} - {}:", span.base(), span.last())?;
    let mut piece = [0; PIECE];
    let mut done = 0;
    while done < span.length() {
        let count = usize::try_from(span.length() - done).unwrap_or(PIECE).min(PIECE);
        let bytes = piece.get_mut(..count).unwrap_or_default();
        let at = span.base().offset(done);
        memory(&guest)
            .read(at, bytes)
            .map_err(|_| Failed::Because(format!("{count} bytes at {at} are not all memory of {name}")))?;
        hexdump::print(session, at.get(), bytes, Width::B4)?;
        done += count as u64;
    }
    Ok(())
}

/// What is at which addresses: the name of the node, and what kind of thing it is.
fn regions(guest: &Guest) -> Vec<(Span<Gpa>, String, &'static str)> {
    let memory = guest.memory().regions();
    let kind = |span: &Span<Gpa>| {
        let region = memory.iter().find(|region| region.span().overlaps(span));
        match region.map(|region| region.rights()) {
            Some(Rights::Memory) => "ram",
            Some(Rights::Constant) => "rom",
            Some(Rights::Registers) => "device real",
            None => "device virtual",
        }
    };
    let mut regions: Vec<_> =
        guest.regions().iter().map(|(span, node)| (*span, node.clone(), kind(span))).collect();
    regions.sort_by_key(|(span, ..)| span.base());
    regions
}

fn region_list(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let guest = find(args.text(0)?)?;
    let mut table = Table::new([("Start", 20), ("End", 20), ("Kind", 16), ("Node", 22)]);
    for (span, node, kind) in regions(&guest) {
        table.row([span.base().to_string(), span.last().to_string(), kind.to_string(), node]);
    }
    table.print(session)?;
    Ok(())
}

fn region(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let name = args.text(0)?;
    let guest = find(name)?;
    let at = Gpa::new(args.number(1)?);
    let (span, node, kind) = regions(&guest)
        .into_iter()
        .find(|(span, ..)| span.contains(at))
        .ok_or_else(|| Failed::Because(format!("{name} has nothing at {at}")))?;
    for (label, value) in [
        ("Region Node", node),
        ("Guest Phys Addr", span.base().to_string()),
        ("Region Size", format!("0x{:016x}", span.length())),
        ("Region Flags", kind.to_string()),
    ] {
        writeln!(session, "{label:<25}: {value}")?;
    }
    Ok(())
}
