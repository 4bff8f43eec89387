//! The host's devices by bus and by class.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use drivers::{Device, State};

use crate::table::Table;
use crate::{Args, Failed, Session};

/// The one bus there is: devices that the processor reaches at addresses that the tree tells.
pub(crate) const PLATFORM: &str = "platform";

/// What kinds of devices there are, in the order in which they were found.
pub(crate) fn classes() -> Vec<&'static str> {
    let mut classes = Vec::new();
    for device in drivers::devices() {
        if !classes.contains(&device.class) {
            classes.push(device.class);
        }
    }
    classes
}

pub(super) fn bus_list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Num#", 8), ("Bus Name", 24), ("Device Count", 46)]);
    table.row(["0".to_string(), PLATFORM.to_string(), drivers::devices().len().to_string()]);
    table.print(session)?;
    Ok(())
}

pub(super) fn class_list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Num#", 8), ("Class Name", 24), ("Device Count", 46)]);
    for (number, class) in classes().into_iter().enumerate() {
        let count = drivers::devices().iter().filter(|device| device.class == class).count();
        table.row([number.to_string(), class.to_string(), count.to_string()]);
    }
    table.print(session)?;
    Ok(())
}

pub(super) fn bus_device_list(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    match args.text(0)? {
        PLATFORM => print(session, drivers::devices()),
        other => Err(Failed::Because(format!("no bus \"{other}\""))),
    }
}

pub(super) fn class_device_list(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let class = args.text(0)?;
    let devices: Vec<Device> =
        drivers::devices().into_iter().filter(|device| device.class == class).collect();
    if devices.is_empty() {
        return Err(Failed::Because(format!("no class \"{class}\"")));
    }
    print(session, devices)
}

fn print(session: &mut Session<'_>, devices: Vec<Device>) -> Result<(), Failed> {
    let mut table =
        Table::new([("Num#", 6), ("Device Name", 28), ("Parent", 16), ("Driver", 14), ("State", 14)]);
    for (number, device) in devices.into_iter().enumerate() {
        let parent = device.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let state = match device.state {
            State::Running => String::from("running"),
            State::Waiting(what) => format!("waits for {what}"),
            State::Failed(why) => format!("failed: {why}"),
        };
        let parent = if parent.is_empty() { "/" } else { parent };
        table.row([number.to_string(), device.name, parent.to_string(), device.driver.to_string(), state]);
    }
    table.print(session)?;
    Ok(())
}
