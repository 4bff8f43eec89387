//! `rtcdev`: clocks of the host that go on while it is off.

use alloc::format;
use alloc::string::ToString;

use atomic::Arc;
use host_thread::time::wall;
use vio::rtc::{self, RtcDevice};

use crate::calendar::Date;
use crate::table::Table;
use crate::wallclock::{self, Zone};
use crate::{Args, Command, Failed, Form, Session, objects};

pub(crate) const COMMAND: Command = Command {
    name: "rtcdev",
    about: "rtc device commands",
    forms: &[
        Form { words: "list", arguments: "", run: list },
        Form { words: "sync_wallclock", arguments: "<rtc>", run: sync_wallclock },
        Form { words: "sync_device", arguments: "<rtc>", run: sync_device },
        Form { words: "get_time", arguments: "<rtc>", run: get_time },
        Form {
            words: "set_time",
            arguments: "<rtc> <hour:minute:second> <day> <month> <year>",
            run: set_time,
        },
    ],
};

fn list(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    let mut table = Table::new([("Name", 40), ("Device Path", 39)]);
    for device in rtc::list() {
        let name = device.name();
        table.row([name.to_string(), objects::device_path(name)]);
    }
    table.print(session)?;
    Ok(())
}

fn device(args: &Args<'_>) -> Result<Arc<dyn RtcDevice>, Failed> {
    let name = args.text(0)?;
    rtc::find(name).ok_or_else(|| Failed::Because(format!("no rtc device \"{name}\"")))
}

fn sync_wallclock(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    wall::set(device(args)?.time().map_err(Failed::because)?);
    Ok(())
}

fn sync_device(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let device = device(args)?;
    let now = wall::now().ok_or_else(|| Failed::because("nobody has set the wall clock"))?;
    device.set_time(now / 1_000_000_000).map_err(Failed::because)
}

fn get_time(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let seconds = device(args)?.time().map_err(Failed::because)?;
    Date::from_seconds(i64::try_from(seconds).unwrap_or(0)).print(session, &Zone(0))?;
    Ok(())
}

fn set_time(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let device = device(args)?;
    let seconds = u64::try_from(wallclock::date(args, 1)?).unwrap_or(0);
    device.set_time(seconds).map_err(Failed::because)
}
