//! `chardev`: the host's character devices.

use alloc::string::ToString;

use crate::table::Table;
use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "chardev",
    about: "character device commands",
    forms: &[Form { words: "list", arguments: "", run: list }],
};

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Name", 40), ("Device Path", 39)]);
    for device in vio::chardev::list() {
        let name = device.name();
        table.row([name.to_string(), crate::objects::device_path(name)]);
    }
    table.print(session)?;
    Ok(())
}
