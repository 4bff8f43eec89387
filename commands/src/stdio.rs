//! `stdio`: where the terminal and the log are, and how much of the log is shown there.

use alloc::format;
use core::fmt::Write;

use vio::chardev;

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "stdio",
    about: "standard I/O configuration",
    forms: &[
        Form { words: "device", arguments: "", run: device },
        Form { words: "change_device", arguments: "<chardev>", run: change_device },
        Form { words: "loglevel", arguments: "", run: crate::log::level },
        Form { words: "change_loglevel", arguments: "<level>", run: crate::log::change_level },
    ],
};

fn device(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let console = chardev::console();
    writeln!(session, "Current Device : {}", console.as_ref().map_or("none", |device| device.name()))?;
    Ok(())
}

fn change_device(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let name = args.text(0)?;
    let device =
        chardev::find(name).ok_or_else(|| Failed::Because(format!("no character device \"{name}\"")))?;
    writeln!(session, "New I/O Device: {name}")?;
    session.flush();
    chardev::set_console(device);
    Ok(())
}
