//! Lines that wait for who owns the console's line, instead of cutting into it.

use core::fmt;

use arch::{Boot, Machine};

use crate::level::Tag;
use crate::ring::{Record, Ring};
use crate::{RING, level, show_now};

/// Who owns the console's line.
#[derive(Clone, Copy)]
pub(crate) struct Held {
    /// The position of the first record that he has not shown.
    next: u64,
    pub(crate) bell: fn(),
}

/// Has lines wait from now on: `bell` is called for each, in any context, and must not say anything itself.
/// Who holds them shows them with [`next_held`] and ends with [`release`]. There is one console, and so one
/// holder: who holds already goes on.
pub fn hold(bell: fn()) {
    let mut ring = RING.lock();
    let next = ring.held.map_or(ring.end(), |held| held.next);
    ring.held = Some(Held { next, bell });
}

/// Writes the next line that waits, with its prefix and without a newline. Says whether there was one.
///
/// # Errors
/// `out` took it not; the line counts as shown.
pub fn next_held(out: &mut dyn fmt::Write) -> Result<bool, fmt::Error> {
    let mut record = Record::default();
    if !take(&mut record, false) {
        return Ok(false);
    }
    write!(out, "{}{}", record.tag.prefix(), record.text())?;
    Ok(true)
}

/// Lines are shown by the sink again, those first that still wait.
pub fn release() {
    let mut record = Record::default();
    while take(&mut record, true) {
        show_now(record.tag.prefix());
        show_now(record.text());
        show_now("\n");
    }
}

/// Prints what still waits at once, past every lock and by polling; for a panic. If somebody holds the ring,
/// it is left.
pub fn release_now() {
    let mut record = Record::default();
    let Some(mut ring) = RING.try_lock() else { return };
    let Some(mut held) = ring.held.take() else { return };
    Machine::early_print("\n");
    while next(&ring, &mut held, &mut record) {
        for text in [record.tag.prefix(), record.text(), "\n"] {
            Machine::early_print(text);
        }
    }
}

/// The next record that waits. If there is none, `leave` ends the holding in the same moment.
fn take(record: &mut Record, leave: bool) -> bool {
    let mut ring = RING.lock();
    let Some(mut held) = ring.held else { return false };
    let found = next(&ring, &mut held, record);
    ring.held = (found || !leave).then_some(held);
    found
}

/// The next record that is shown at the level of now.
fn next(ring: &Ring, held: &mut Held, record: &mut Record) -> bool {
    while let Some(next) = ring.read(held.next, record) {
        held.next = next;
        let shown = match record.tag {
            Tag::Init => true,
            Tag::Level(of) => of <= level(),
        };
        if shown {
            return true;
        }
    }
    false
}
