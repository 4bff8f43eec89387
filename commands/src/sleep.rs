//! `sleep`: the terminal waits, or measures how well it waits.

use core::fmt::Write;

use arch::{Clock, Machine, Nanos};

use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "sleep",
    about: "Make the terminal thread sleep for given time",
    forms: &[
        Form { words: "secs", arguments: "<count>", run: |_, args| wait(args, 1_000_000_000) },
        Form { words: "msecs", arguments: "<count>", run: |_, args| wait(args, 1_000_000) },
        Form { words: "usecs", arguments: "<count>", run: |_, args| wait(args, 1_000) },
        Form {
            words: "test_secs",
            arguments: "<iterations> <count>",
            run: |s, args| test(s, args, 1_000_000_000),
        },
        Form {
            words: "test_msecs",
            arguments: "<iterations> <count>",
            run: |s, args| test(s, args, 1_000_000),
        },
        Form { words: "test_usecs", arguments: "<iterations> <count>", run: |s, args| test(s, args, 1_000) },
    ],
};

fn wait(args: &Args<'_>, unit: u64) -> Result<(), Failed> {
    host_thread::sleep(length(args, 0, unit)?);
    Ok(())
}

fn length(args: &Args<'_>, index: usize, unit: u64) -> Result<Nanos, Failed> {
    let count: u64 = args.number(index)?;
    // A day is more than anybody who can no longer type wants to wait.
    count
        .checked_mul(unit)
        .filter(|nanos| *nanos <= 86_400_000_000_000)
        .map(Nanos)
        .ok_or_else(|| Failed::Because(alloc::format!("<count>: {count} is longer than a day")))
}

fn test(session: &mut Session<'_>, args: &Args<'_>, unit: u64) -> Result<(), Failed> {
    let iterations: u32 = args.number(0)?;
    let length = length(args, 1, unit)?;
    let mut total = 0_u64;
    for iteration in 0..iterations {
        let before = Machine::now();
        host_thread::sleep(length);
        let delta = Machine::now().since(before).0;
        total = total.saturating_add(delta);
        writeln!(session, "iter={iteration} delta {delta} nanoseconds")?;
    }
    if let Some(average) = total.checked_div(u64::from(iterations)) {
        writeln!(session, "average delta {average} nanoseconds")?;
    }
    Ok(())
}
