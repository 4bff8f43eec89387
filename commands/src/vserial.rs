//! `vserial`: the serial ports of guests.

mod bind;
mod prefix;
mod seen;

use alloc::format;
use alloc::string::ToString;
use core::fmt::Write;

use atomic::Arc;
use vio::serial::{self, Serial};

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "vserial",
    about: "virtual serial port commands",
    forms: &[
        Form { words: "list", arguments: "", run: list },
        Form { words: "bind", arguments: "<vserial>", run: bind },
        Form { words: "dump", arguments: "<vserial> [<bytes>]", run: dump },
    ],
};

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Name", 78)]);
    for port in serial::list() {
        table.row([port.name().to_string()]);
    }
    table.print(session)?;
    Ok(())
}

fn port(args: &Args<'_>) -> Result<Arc<Serial>, Failed> {
    let name = args.text(0)?;
    serial::find(name).ok_or_else(|| Failed::Because(format!("no virtual serial port \"{name}\"")))
}

fn bind(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let port = port(args)?;
    bind::run(session.terminal(), &port);
    Ok(())
}

fn dump(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let port = port(args)?;
    let bytes = port.history(args.number_or(1, usize::MAX)?);
    let mut prefix = prefix::Prefix::new(port.name());
    prefix.replay = true;
    let mut text = alloc::vec::Vec::new();
    prefix.start(&mut text);
    prefix.add(&bytes, &mut text);
    session.terminal().write(&text);
    writeln!(session)?;
    Ok(())
}
