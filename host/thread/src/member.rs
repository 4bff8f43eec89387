//! A thread, as its CPU sees it.
#![forbid(unsafe_code)]

use arch::{Clock, CpuId, Machine, Nanos};
use atomic::Arc;

use crate::control::Control;
use crate::phase::Phase;
use crate::policy::{Attributes, Hint, Slot, Why};
use crate::{CpuSet, Stats};

/// A thread, as its CPU sees it.
pub(crate) struct Member {
    pub(crate) control: Arc<Control>,
    pub(crate) attributes: Attributes,
    /// What is left of its turn.
    pub(crate) left: Nanos,
    /// Where it may run.
    pub(crate) affinity: CpuSet,
    /// Where it is to go on.
    pub(crate) wants: Option<CpuId>,
    /// It gave the CPU up by itself, or never had it: nothing that it is in the middle of is this CPU's.
    pub(crate) settled: bool,
    /// Since when it is in its phase.
    pub(crate) since: Nanos,
    /// How long it had waited in place when it came here.
    pub(crate) waited_elsewhere: Nanos,
    /// What it did with its time until then.
    pub(crate) stats: Stats,
}

/// How a thread leaves its CPU.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// It gives it up: it may go on elsewhere.
    ByItself,
    /// In the middle of something.
    Interrupted,
}

impl Member {
    pub(crate) fn new(control: Arc<Control>, attributes: Attributes) -> Self {
        let since = Machine::now();
        Self {
            control,
            attributes,
            left: attributes.time_slice,
            affinity: CpuSet::ALL,
            wants: None,
            settled: true,
            since,
            waited_elsewhere: Nanos(0),
            stats: Stats::default(),
        }
    }

    /// Its slot. Whoever sees a member has the lock of its CPU, so it does not move.
    #[inline(always)]
    pub(crate) fn slot(&self) -> Slot {
        self.control.place.get().map_or(Slot(u32::MAX), |(_, slot)| slot)
    }

    /// Whether it is to be taken elsewhere, and can be right now.
    pub(crate) fn can_leave(&self) -> bool {
        let phase = self.control.state.get();
        self.wants.is_some() && self.settled && (phase == Phase::READY || phase == Phase::PARKED)
    }

    /// How long it waited in place since it came here.
    pub(crate) fn waited_here(&self, now: Nanos) -> Nanos {
        self.control.waited_in_place(now).since(self.waited_elsewhere)
    }

    #[inline(always)]
    pub(crate) fn hint(&self, why: Why) -> Hint {
        Hint { priority: self.attributes.priority, why }
    }

    /// How long it spent in each phase, this one included.
    pub(crate) fn stats(&self, now: Nanos) -> Stats {
        let mut stats = self.phases(now);
        // It was in its guest meanwhile, so it ran.
        let waited = self.control.waited_in_place(now);
        stats.running = stats.running.since(waited);
        stats.parked = stats.parked.after(waited);
        stats
    }

    /// The same, with waits in place as running.
    fn phases(&self, now: Nanos) -> Stats {
        let mut stats = self.stats;
        let here = now.since(self.since);
        let sum = match self.control.state.get() {
            Phase::RUNNING => &mut stats.running,
            Phase::READY => &mut stats.ready,
            Phase::PARKED => &mut stats.parked,
            _ => return stats,
        };
        *sum = sum.after(here);
        stats
    }
}
