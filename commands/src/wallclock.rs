//! `wallclock`: the time of day.

use core::fmt::{self, Write};

use cmdline::parse;
use host_thread::time::wall;

use crate::calendar::Date;
use crate::{Args, Command, Failed, Form, Session};

pub(crate) const COMMAND: Command = Command {
    name: "wallclock",
    about: "wall-clock commands",
    forms: &[
        Form { words: "get_time", arguments: "", run: get_time },
        Form {
            words: "set_time",
            arguments: "<hour:minute:second> <day> <month> <year> [<timezone>]",
            run: set_time,
        },
        Form { words: "get_timezone", arguments: "", run: get_timezone },
        Form { words: "set_timezone", arguments: "<timezone>", run: set_timezone },
    ],
};

/// A zone in minutes east of Greenwich, printed as `UTC+5:30`.
pub(crate) struct Zone(pub(crate) i32);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.unsigned_abs();
        match self.0 {
            0 => f.write_str("UTC"),
            east => write!(f, "UTC{}{}:{:02}", if east < 0 { '-' } else { '+' }, minutes / 60, minutes % 60),
        }
    }
}

fn zone(word: &str) -> Result<i32, parse::What> {
    const WHAT: parse::What = "is not a timezone (+h:m or -h:m)";
    let (sign, time) = match word.split_at_checked(1) {
        Some(("+", rest)) => (1, rest),
        Some(("-", rest)) => (-1, rest),
        _ => return Err(WHAT),
    };
    let time = parse::time(time).map_err(|_| WHAT)?;
    if time.second != 0 || time.hour > 14 {
        return Err(WHAT);
    }
    Ok(sign * (i32::from(time.hour) * 60 + i32::from(time.minute)))
}

/// The date that five or four arguments from `first` on say, in seconds since 1970 of its own zone.
pub(crate) fn date(args: &Args<'_>, first: usize) -> Result<i64, Failed> {
    let time = args.parsed(first, parse::time)?;
    let date = Date {
        year: i64::from(args.number::<u32>(first + 3)?),
        month: u32::from(args.parsed(first + 2, parse::month)?),
        day: args.number(first + 1)?,
        hour: u32::from(time.hour),
        minute: u32::from(time.minute),
        second: u32::from(time.second),
    };
    date.seconds()
        .ok_or_else(|| Failed::because("this date does not exist, or lies before 1970 or after 9999"))
}

fn get_time(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    // Before anybody sets it, the clock counts from the beginning of 1970, as Xvisor's does.
    let nanos = wall::now().unwrap_or_else(|| host_thread::time::now().0);
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(0);
    let zone = wall::zone();
    Date::from_seconds(seconds + i64::from(zone) * 60).print(session, &Zone(zone))?;
    Ok(())
}

fn set_time(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let local = date(args, 0)?;
    let zone = if args.given(4).is_some() { args.parsed(4, zone)? } else { wall::zone() };
    let seconds = u64::try_from(local - i64::from(zone) * 60)
        .map_err(|_| Failed::because("this date lies before 1970 in UTC"))?;
    wall::set(seconds);
    wall::set_zone(zone);
    Ok(())
}

fn get_timezone(session: &mut Session<'_>, _: &Args<'_>) -> Result<(), Failed> {
    writeln!(session, "{}", Zone(wall::zone()))?;
    Ok(())
}

fn set_timezone(_: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    wall::set_zone(args.parsed(0, zone)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::{Zone, zone};

    #[test]
    fn zones_are_read_and_printed() {
        for (word, minutes, printed) in [
            ("+5:30", 330, "UTC+5:30"),
            ("-3:0", -180, "UTC-3:00"),
            ("+0:0", 0, "UTC"),
            ("-0:30", -30, "UTC-0:30"),
        ] {
            assert_eq!(zone(word), Ok(minutes));
            assert_eq!(Zone(minutes).to_string(), printed);
        }
        for wrong in ["", "5:30", "+x", "+15:0", "+1:0:1", "ü1:0"] {
            assert!(zone(wrong).is_err(), "{wrong}");
        }
    }
}
