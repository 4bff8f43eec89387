//! The list of all threads.
#![forbid(unsafe_code)]

use alloc::string::String;
use alloc::vec::Vec;

use arch::{Clock, CpuId, IrqsOff, Machine};
use atomic::Arc;

use crate::control::Control;
use crate::thread::{State, Stats, ThreadId};
use crate::{Attributes, CpuSet, cpu};

/// A thread in the list of all.
#[derive(Clone, Debug)]
pub struct Info {
    /// Its number.
    pub id: ThreadId,
    /// Its name.
    pub name: String,
    /// The CPU that runs it.
    pub cpu: CpuId,
    /// Where it may run.
    pub affinity: CpuSet,
    /// How it is scheduled.
    pub attributes: Attributes,
    /// What it is doing.
    pub state: State,
    /// What it did with its time.
    pub stats: Stats,
}

/// All threads of all CPUs that have not ended, and some that just did.
pub fn list() -> Vec<Info> {
    let mut all = Vec::new();
    for at in cpu::started() {
        // First the handles alone: what allocates comes when the lock is free again.
        let mut found: Vec<(Arc<Control>, CpuSet, Attributes, Stats)> = Vec::new();
        loop {
            let masked = IrqsOff::now();
            let roster = cpu::roster_of(at, &masked);
            let count = roster.members().count();
            if count > found.capacity() {
                drop(roster);
                drop(masked);
                found.reserve(count);
                continue;
            }
            let now = Machine::now();
            found.extend(roster.members().map(|member| {
                (Arc::clone(&member.control), member.affinity, member.attributes, roster.stats(member, now))
            }));
            break;
        }
        all.extend(found.into_iter().map(|(control, affinity, attributes, stats)| Info {
            id: ThreadId(control.id),
            name: control.name.clone(),
            cpu: at,
            affinity,
            attributes,
            state: State::of(&control),
            stats,
        }));
    }
    all
}
