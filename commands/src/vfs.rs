//! `vfs`: files, and what is loaded from them.

mod description;
mod load;

use alloc::format;
use alloc::string::ToString;
use core::fmt::Write;

use host_vfs::Kind;

use crate::calendar::Date;
use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "vfs",
    about: "vfs related commands",
    forms: &[
        Form { words: "fslist", arguments: "", run: fslist },
        Form { words: "mplist", arguments: "", run: mplist },
        Form { words: "mount", arguments: "<source> <path> [<wait_sec>]", run: mount },
        Form { words: "umount", arguments: "<mount_point>", run: umount },
        Form { words: "ls", arguments: "<dir>", run: ls },
        Form { words: "cat", arguments: "<file>", run: cat },
        Form { words: "run", arguments: "<file>", run: script },
        Form {
            words: "fdt_load",
            arguments: "<node> <name> <file> [<alias,attr,type,value>] ...",
            run: description::fdt_load,
        },
        Form {
            words: "guest_fdt_load",
            arguments: "<new_guest> <file> <vcpu_count> [<alias,attr,type,value>] ...",
            run: description::guest_fdt_load,
        },
        Form {
            words: "guest_load",
            arguments: "<guest> <gphys_addr> <file> [<offset>] [<byte_count>]",
            run: load::guest_load,
        },
        Form { words: "guest_load_list", arguments: "<guest> <file>", run: load::guest_load_list },
        Form {
            words: "host_load",
            arguments: "<phys_addr> <file> [<offset>] [<byte_count>]",
            run: load::host_load,
        },
        Form { words: "host_load_list", arguments: "<file>", run: load::host_load_list },
    ],
};

fn fslist(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Num", 10), ("Name", 68)]);
    for (number, name) in host_vfs::filesystems().iter().enumerate() {
        table.row([number.to_string(), name.to_string()]);
    }
    table.print(session)?;
    Ok(())
}

fn mplist(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("BlockDev", 16), ("Filesystem", 12), ("Mode", 12), ("Path", 38)]);
    for mount in host_vfs::mounts() {
        table.row([mount.source, mount.filesystem.to_string(), "read-only".to_string(), mount.path]);
    }
    table.print(session)?;
    Ok(())
}

fn mount(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let (source, path) = (args.text(0)?, args.text(1)?);
    let seconds: u32 = args.number_or(2, 0)?;
    for _ in 0..seconds.min(3600) {
        if host_vfs::sources().iter().any(|known| known == source) {
            break;
        }
        host_thread::sleep(arch::Nanos::from_millis(1000));
    }
    host_vfs::mount(source, path)?;
    let filesystem =
        host_vfs::mounts().into_iter().find(|mount| mount.path == path).map(|mount| mount.filesystem);
    writeln!(session, "Mounted {source} using {} at {path}", filesystem.unwrap_or("its filesystem"))?;
    Ok(())
}

fn umount(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    host_vfs::umount(args.text(0)?)?;
    writeln!(session, "Unmount successful")?;
    Ok(())
}

fn ls(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let entries = host_vfs::list(args.text(0)?)?;
    for entry in &entries {
        let stat = entry.stat;
        let (letter, slash) = match stat.kind {
            Kind::File => ('-', ""),
            Kind::Directory => ('d', "/"),
            Kind::Link => ('l', ""),
            Kind::Other => ('?', ""),
        };
        write!(session, "{letter}")?;
        for (bit, letter) in (0..9).rev().zip("rwxrwxrwx".chars()) {
            write!(session, "{}", if stat.permissions >> bit & 1 == 1 { letter } else { '-' })?;
        }
        let date = Date::from_seconds(i64::try_from(stat.modified).unwrap_or(0));
        let day =
            format!("{:04}-{:02}-{:02} {:02}:{:02}", date.year, date.month, date.day, date.hour, date.minute);
        writeln!(session, " {:>12} {day} {}{slash}", stat.length, entry.name)?;
    }
    writeln!(session, "total {}", entries.len())?;
    Ok(())
}

fn cat(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(0)?;
    let bytes = host_vfs::bytes(path)?;
    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t' | 0x1b | 0x80..);
    let end = bytes.iter().position(|byte| !is_text(byte)).unwrap_or(bytes.len());
    let text = bytes.get(..end).unwrap_or_default();
    session.write_str(&alloc::string::String::from_utf8_lossy(text))?;
    if !text.ends_with(b"\n") {
        writeln!(session)?;
    }
    if end < bytes.len() {
        return Err(Failed::Because(format!("{path}: byte {end} is not printable")));
    }
    Ok(())
}

fn script(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let path = args.text(0)?;
    let bytes = host_vfs::bytes(path)?;
    let text = core::str::from_utf8(&bytes).map_err(|_| Failed::Because(format!("{path}: is not text")))?;
    session.run_script(text).map_err(|failed| Failed::Because(format!("{path}: {failed}")))
}
