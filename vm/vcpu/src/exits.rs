//! How often a virtual CPU left its guest, for what, and how long that took.

use arch::{Clock, Exit, Machine, Nanos, Place};
use atomic::{AtomicBool, AtomicU64, Ordering};

/// What an exit was for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum ExitKind {
    /// A host interrupt.
    Host,
    /// The guest read from a device.
    Read,
    /// The guest wrote to a device.
    Write,
    /// The guest read or wrote a system register that is emulated.
    Register,
    /// The guest called its firmware or hypervisor.
    Call,
    /// The guest waits for an interrupt.
    Wait,
    /// The guest waits for another of its CPUs.
    Yield,
    /// The guest did what it must not.
    Fault,
    /// The hardware refuses to go on.
    Refused,
}

impl ExitKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Host,
        Self::Read,
        Self::Write,
        Self::Register,
        Self::Call,
        Self::Wait,
        Self::Yield,
        Self::Fault,
        Self::Refused,
    ];

    /// A name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "Host Interrupt",
            Self::Read => "Device Read",
            Self::Write => "Device Write",
            Self::Register => "System Register",
            Self::Call => "Call",
            Self::Wait => "Wait for Interrupt",
            Self::Yield => "Yield",
            Self::Fault => "Guest Fault",
            Self::Refused => "Refused by Hardware",
        }
    }

    /// What an access to `place` was for; `memory` if it is one.
    #[inline(always)]
    pub(crate) fn at(place: Place, memory: Self) -> Self {
        if let Place::Register(_) = place { Self::Register } else { memory }
    }

    pub(crate) fn of(exit: &Exit) -> Self {
        match exit {
            Exit::Host | Exit::Called => Self::Host,
            Exit::Read(read) => Self::at(read.place, Self::Read),
            Exit::Write(write) => Self::at(write.place, Self::Write),
            Exit::Call(_) => Self::Call,
            Exit::Wait => Self::Wait,
            Exit::Yield => Self::Yield,
            Exit::Fault(_) => Self::Fault,
            Exit::Refused(_) => Self::Refused,
        }
    }
}

/// Whether the time of exits is measured: it costs two readings of the clock each.
static TIMED: AtomicBool = AtomicBool::new(false);

/// Has the time of exits measured from now on, or not any more.
pub fn time_exits(measure: bool) {
    TIMED.store(measure, Ordering::Relaxed);
}

/// Whether the time of exits is measured.
#[inline(always)]
pub fn exits_are_timed() -> bool {
    TIMED.load(Ordering::Relaxed)
}

/// The sums of one virtual CPU. Its thread alone adds to them, anybody reads.
#[derive(Default, Debug)]
pub struct ExitStats([Sum; ExitKind::ALL.len()]);

#[derive(Default, Debug)]
struct Sum {
    count: AtomicU64,
    nanos: AtomicU64,
}

impl ExitStats {
    /// How often there was an exit of this kind, and the time that those took which were measured.
    pub fn of(&self, kind: ExitKind) -> (u64, Nanos) {
        let sum = self.0.get(kind as usize);
        let read = |sum: &Sum| (sum.count.load(Ordering::Relaxed), Nanos(sum.nanos.load(Ordering::Relaxed)));
        sum.map(read).unwrap_or_default()
    }

    #[inline(always)]
    pub(crate) fn count(&self, kind: ExitKind) {
        if let Some(sum) = self.0.get(kind as usize) {
            add(&sum.count, 1);
        }
    }

    /// What answered an exit of this kind began at `since`, and is done.
    pub(crate) fn took(&self, kind: ExitKind, since: Nanos) {
        if let Some(sum) = self.0.get(kind as usize) {
            add(&sum.nanos, Machine::now().since(since).0);
        }
    }
}

/// Not in one step: there is one writer.
#[inline(always)]
fn add(sum: &AtomicU64, value: u64) {
    sum.store(sum.load(Ordering::Relaxed).wrapping_add(value), Ordering::Relaxed);
}
