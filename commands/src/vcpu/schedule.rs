//! `vcpu set_…`: how a virtual CPU is scheduled. Which of these count is the policy's to say.

use core::fmt::Write;

use alloc::format;
use alloc::string::String;
use arch::Nanos;
use cmdline::parse;
use host_thread::{Attributes, Priority};

use super::find;
use crate::{Args, Failed, Session};

pub(super) fn priority(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let level: u8 = args.number(1)?;
    let wrong = || Failed::because(format!("<priority>: {level} is none of 0 to 7"));
    let priority = Priority::new(level).ok_or_else(wrong)?;
    change(session, args, "Priority", level, |attributes| attributes.priority = priority)
}

pub(super) fn time_slice(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let length = length(args)?.ok_or_else(|| Failed::because("<duration>: a time slice is not 0"))?;
    change(session, args, "Time slice", Length(length), |attributes| attributes.time_slice = length)
}

pub(super) fn period(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let length = length(args)?;
    let shown = Length(length.unwrap_or_default());
    change(session, args, "Period", shown, |attributes| attributes.period = length)
}

pub(super) fn deadline(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let length = length(args)?;
    let shown = Length(length.unwrap_or_default());
    change(session, args, "Deadline", shown, |attributes| attributes.deadline = length)
}

pub(super) fn weight(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let weight: u32 = args.number(1)?;
    if !(1..=Attributes::MAX_WEIGHT).contains(&weight) {
        let most = Attributes::MAX_WEIGHT;
        return Err(Failed::because(format!("<weight>: {weight} is none of 1 to {most}")));
    }
    change(session, args, "Weight", weight, |attributes| attributes.weight = weight)
}

/// Without a limit for 0.
pub(super) fn cap(session: &mut Session<'_>, args: &Args<'_>) -> Result<(), Failed> {
    let cap: u32 = args.number(1)?;
    if cap > 100 {
        return Err(Failed::because(format!("<percent>: {cap} is none of 0 (no limit) to 100")));
    }
    change(session, args, "Cap", format!("{cap} %"), |attributes| attributes.cap = cap)
}

/// The second argument, in nanoseconds where it has no unit; `None` for 0.
fn length(args: &Args<'_>) -> Result<Option<Nanos>, Failed> {
    let nanos = args.parsed(1, |word| parse::duration(word, 1))?;
    if nanos == 0 {
        return Ok(None);
    }
    if !(Attributes::SHORTEST.0..=Attributes::LONGEST.0).contains(&nanos) {
        let word = args.text(1)?;
        return Err(Failed::because(format!("<duration>: \"{word}\" is not between 100 us and an hour")));
    }
    Ok(Some(Nanos(nanos)))
}

/// A length of time in the unit in which it is a whole number.
pub(super) struct Length(pub(super) Nanos);

impl core::fmt::Display for Length {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.0.0 {
            0 => f.write_str("none"),
            nanos if nanos % 1_000_000 == 0 => write!(f, "{} ms", nanos / 1_000_000),
            nanos if nanos % 1000 == 0 => write!(f, "{} us", nanos / 1000),
            nanos => write!(f, "{nanos} ns"),
        }
    }
}

fn change(
    session: &mut Session<'_>,
    args: &Args<'_>,
    what: &str,
    value: impl core::fmt::Display,
    change: impl FnOnce(&mut Attributes),
) -> Result<(), Failed> {
    let (_, vcpu) = find(args)?;
    let name = vcpu.name();
    let thread = vcpu.thread().ok_or_else(|| Failed::because(format!("{name}: has no thread")))?;
    thread.change(change).map_err(|why| Failed::because(format!("{name}: {why}")))?;
    writeln!(session, "{name}: {what} {value} set")?;
    Ok(())
}

/// The rows of `vcpu dumpstat` that say how it is scheduled.
pub(super) fn rows(attributes: &Attributes) -> [(&'static str, String); 5] {
    let length = |length: Option<Nanos>| format!("{}", Length(length.unwrap_or_default()));
    [
        ("Time Slice", length(Some(attributes.time_slice))),
        ("Period", length(attributes.period)),
        ("Deadline", length(attributes.deadline)),
        ("Weight", format!("{}", attributes.weight)),
        ("Cap", if attributes.cap == 0 { "none".into() } else { format!("{} %", attributes.cap) }),
    ]
}
