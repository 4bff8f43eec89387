//! What the hypervisor says: eight levels, a console that shows the more important ones, and a ring in
//! which all of them can be read again.
//!
//! Saying something allocates nothing and works from the first instructions on, in any context. A line
//! is formatted on the speaker's stack (what is longer than [`LINE`] bytes is cut), kept in the ring,
//! and, when its level is at most [`level`], handed whole to the sink: the start-up console at first,
//! then whatever [`set_sink`] named. Who edits a line on the console has lines wait for him ([`hold`]) and
//! shows them where they cut nothing. What a guest can cause to be said goes through a [`Limiter`].
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod held;
mod level;
mod limiter;
mod line;
mod ring;

use core::fmt;

use arch::{Boot, Clock, Machine};
use atomic::{AtomicU8, Ordering};
use host_sync::{IrqOff, Rank, Spin};

pub use held::{hold, next_held, release, release_now};
pub use level::Level;
use level::Tag;
pub use limiter::{Allowed, Limiter};
pub use line::LINE;
use line::Line;
use ring::{Record, Ring};

static RING: Spin<Ring, IrqOff> = Spin::ranked(Ring::new(), Rank::Log);
static SINK: Spin<fn(&str), IrqOff> = Spin::ranked(early, Rank::Log);
static LEVEL: AtomicU8 = AtomicU8::new(Level::Info as u8);

fn early(text: &str) {
    Machine::early_print(text);
}

/// Says a line of `level`. A newline at its end is not needed.
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    say(Tag::Level(level), level <= self::level(), text);
}

/// Says a line about start-up, `INIT: …`; it is shown at every level.
pub fn write_init(text: fmt::Arguments<'_>) {
    say(Tag::Init, true, text);
}

fn say(tag: Tag, shown: bool, text: fmt::Arguments<'_>) {
    let line = Line::new(tag, text);
    let held = {
        let mut ring = RING.lock();
        ring.push(Machine::now(), tag, line.text());
        ring.held
    };
    match held {
        _ if !shown => {}
        Some(held) => (held.bell)(),
        None => show_now(line.whole()),
    }
}

fn show_now(text: &str) {
    let sink = *SINK.lock();
    sink(text);
}

/// Prints at once, past every lock and by polling; for a panic, which may have interrupted anything.
/// The text is kept in the ring too if nobody holds it.
pub fn emergency(text: fmt::Arguments<'_>) {
    let line = Line::bare(text);
    Machine::early_print(line.whole());
    if let Some(mut ring) = RING.try_lock() {
        ring.push(Machine::now(), Tag::Level(Level::Emergency), line.text());
    }
}

/// Up to which level lines are shown on the console.
pub fn level() -> Level {
    Level::from_number(LEVEL.load(Ordering::Relaxed)).unwrap_or(Level::Info)
}

/// Shows lines up to `level` from now on. All of them are kept in the ring anyway.
pub fn set_level(level: Level) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Names who shows lines from now on. It is called with whole lines, in any context, and must neither
/// sleep nor say anything itself.
pub fn set_sink(sink: fn(&str)) {
    *SINK.lock() = sink;
}

/// Writes the last `lines` lines (all that are kept, if they are fewer) with the time of each, in
/// seconds since power-on. What is said meanwhile may be among them.
pub fn show(out: &mut dyn fmt::Write, lines: usize) -> fmt::Result {
    let (mut cursor, kept) = {
        let ring = RING.lock();
        (ring.oldest(), ring.count())
    };
    let mut skip = kept.saturating_sub(lines);
    let mut record = Record::default();
    // One record at a time: `out` may be slow, and the ring must not be held meanwhile.
    for _ in 0..kept {
        match RING.lock().read(cursor, &mut record) {
            Some(next) => cursor = next,
            None => break,
        }
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let micros = record.at.0 / 1000;
        writeln!(
            out,
            "[{:5}.{:06}] {}{}",
            micros / 1_000_000,
            micros % 1_000_000,
            record.tag.prefix(),
            record.text()
        )?;
    }
    Ok(())
}

/// Says a line about start-up: `INIT: …`.
#[macro_export]
macro_rules! init {
    ($($text:tt)*) => { $crate::write_init(::core::format_args!($($text)*)) };
}

/// Says that something failed: `ERROR: …`.
#[macro_export]
macro_rules! error {
    ($($text:tt)*) => { $crate::write($crate::Level::Error, ::core::format_args!($($text)*)) };
}

/// Says that something is not as it should be: `WARNING: …`.
#[macro_export]
macro_rules! warn {
    ($($text:tt)*) => { $crate::write($crate::Level::Warning, ::core::format_args!($($text)*)) };
}

/// Says something that is good to know: `NOTE: …`.
#[macro_export]
macro_rules! note {
    ($($text:tt)*) => { $crate::write($crate::Level::Note, ::core::format_args!($($text)*)) };
}

/// Says what happened: `INFO: …`.
#[macro_export]
macro_rules! info {
    ($($text:tt)*) => { $crate::write($crate::Level::Info, ::core::format_args!($($text)*)) };
}

/// Says something for developers: `DEBUG: …`, which is kept but not shown by default.
#[macro_export]
macro_rules! debug {
    ($($text:tt)*) => { $crate::write($crate::Level::Debug, ::core::format_args!($($text)*)) };
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::sync::Mutex;

    use super::*;

    static HEARD: Mutex<String> = Mutex::new(String::new());
    static RUNG: Mutex<u32> = Mutex::new(0);
    /// The log is one for all tests.
    static ALONE: Mutex<()> = Mutex::new(());

    #[test]
    fn who_holds_the_line_gets_what_is_said_and_the_sink_gets_the_rest() {
        let _alone = ALONE.lock();
        HEARD.lock().unwrap().clear();
        set_sink(|text| HEARD.lock().unwrap().push_str(text));
        note!("before");
        hold(|| *RUNG.lock().unwrap() += 1);
        note!("one");
        debug!("not shown at this level");
        note!("two");
        // Holding again loses nothing.
        hold(|| *RUNG.lock().unwrap() += 1);
        assert_eq!(*RUNG.lock().unwrap(), 2);
        assert_eq!(*HEARD.lock().unwrap(), "NOTE: before\n");
        let mut line = String::new();
        assert!(next_held(&mut line).unwrap());
        assert_eq!(line, "NOTE: one");
        release();
        note!("three");
        assert_eq!(*HEARD.lock().unwrap(), "NOTE: before\nNOTE: two\nNOTE: three\n");
        assert!(!next_held(&mut line).unwrap());
    }

    #[test]
    fn lines_up_to_the_level_are_shown_and_all_are_kept() {
        let _alone = ALONE.lock();
        HEARD.lock().unwrap().clear();
        set_sink(|text| HEARD.lock().unwrap().push_str(text));
        set_level(Level::Note);
        warn!("the {} is hot", "kettle");
        info!("a quiet line");
        init!("CPU0");
        set_level(Level::Info);
        assert_eq!(*HEARD.lock().unwrap(), "WARNING: the kettle is hot\nINIT: CPU0\n");

        let mut log = String::new();
        show(&mut log, 2).unwrap();
        let lines: std::vec::Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].ends_with("] INFO: a quiet line"), "{log}");
        assert!(lines[1].ends_with("] INIT: CPU0"), "{log}");
    }
}
