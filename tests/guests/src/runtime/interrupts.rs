//! What is done with an interrupt that is taken: it is counted, its source silenced, and it is ended.

use atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{cpus, say};
use crate::arch::irq;

static COUNT: AtomicU64 = AtomicU64::new(0);
static ENTERED: AtomicU64 = AtomicU64::new(0);
static LAST: AtomicU32 = AtomicU32::new(NONE);
static STORM: AtomicBool = AtomicBool::new(false);

/// Nothing has been taken.
pub(crate) const NONE: u32 = u32::MAX;

/// Called at an interrupt that came at time `entered`.
pub(crate) fn taken(entered: u64) {
    let Some(taken) = irq::take() else { return };
    if cpus::index() != 0 {
        cpus::interrupted(entered);
    } else {
        ENTERED.store(entered, Relaxed);
        LAST.store(taken.id(), Relaxed);
        let count = COUNT.fetch_add(1, Relaxed) + 1;
        if taken.is_from_cpu() {
        } else if STORM.load(Relaxed) {
            in_storm(count);
        } else {
            taken.silence();
        }
    }
    taken.end();
}

fn in_storm(count: u64) {
    if count.is_multiple_of(100_000) {
        say!("MISCHIEF timer: {count} interrupts");
    }
}

/// How many this CPU has taken.
pub(crate) fn count() -> u64 {
    COUNT.load(Relaxed)
}

/// The last one, and the counter when it came; it is forgotten.
pub(crate) fn last() -> (u32, u64) {
    (LAST.swap(NONE, Relaxed), ENTERED.load(Relaxed))
}

/// From now on sources are not silenced: they interrupt again and again.
pub(crate) fn storm() {
    STORM.store(true, Relaxed);
}
