//! How the threads of a guest's CPUs are scheduled, as its tree says: of one CPU or, in `/cpus`, of all.
//!
//! | property | in Xvisor | |
//! |---|---|---|
//! | `xvisor,priority` | `priority` | 0 to 7 |
//! | `xvisor,time-slice` | `time_slice` | nanoseconds |
//! | `xvisor,period` | `periodicity` | nanoseconds |
//! | `xvisor,deadline` | `deadline` | nanoseconds |
//! | `xvisor,weight` | | 1 to 65 535 |
//! | `xvisor,cap` | | hundredths of a CPU |
//! | `xvisor,affinity` | `affinity` | numbers of host CPUs, of which one at least is online |
//!
//! Which of them count is the policy's to say (`host-sched`).

use alloc::format;

use arch::{CpuId, Nanos};
use fdt::{Error, Node, Property};
use host_thread::{Attributes, CpuSet, Kind, Priority};

use crate::plan::Plan;

/// Reads what `cpu` says, or `cpus` for all.
pub(crate) fn read(plan: &mut Plan, cpus: Node<'_>, cpu: Node<'_>) -> Result<Schedule, Error> {
    let mut reader = Reader { plan, cpus, cpu };
    let mut attributes = Attributes::new(Kind::Vcpu);
    if let Some((property, value)) = reader.number(&["xvisor,priority", "priority"])? {
        let priority = u8::try_from(value).ok().and_then(Priority::new);
        attributes.priority =
            priority.ok_or_else(|| property.error(format!("{value} is not a priority (0 to 7)")))?;
    }
    if let Some(time_slice) = reader.length(&["xvisor,time-slice", "time_slice"])? {
        attributes.time_slice = time_slice;
    }
    attributes.period = reader.length(&["xvisor,period", "periodicity"])?;
    attributes.deadline = reader.length(&["xvisor,deadline", "deadline"])?;
    if let Some(weight) = reader.within(&["xvisor,weight"], 1, Attributes::MAX_WEIGHT, "weight")? {
        attributes.weight = weight;
    }
    if let Some(cap) = reader.within(&["xvisor,cap"], 1, 100, "cap, in hundredths of a CPU")? {
        attributes.cap = cap;
    }
    let affinity = reader.cpus(&["xvisor,affinity", "affinity"])?;
    Ok(Schedule { attributes, affinity })
}

/// How and where the thread of a CPU runs.
#[derive(Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) attributes: Attributes,
    pub(crate) affinity: CpuSet,
}

struct Reader<'a, 't> {
    plan: &'a mut Plan,
    cpus: Node<'t>,
    cpu: Node<'t>,
}

impl<'t> Reader<'_, 't> {
    /// The property by the first of its names that is there, of the CPU before that of all.
    fn property(&mut self, names: &[&str]) -> Option<Property<'t>> {
        let mut found = None;
        for node in [self.cpu, self.cpus] {
            for name in names {
                self.plan.take(node, name);
                found = found.or(node.property(name));
            }
        }
        found
    }

    /// The same, as a number.
    fn number(&mut self, names: &[&str]) -> Result<Option<(Property<'t>, u64)>, Error> {
        self.property(names).map(|property| Ok((property, property.u64()?))).transpose()
    }

    /// A set of host CPUs; all of them where nothing is said.
    fn cpus(&mut self, names: &[&str]) -> Result<CpuSet, Error> {
        let Some(property) = self.property(names) else { return Ok(CpuSet::ALL) };
        let set: CpuSet = property.cells()?.iter().map(CpuId).collect();
        if set.and(host_thread::online()).is_empty() {
            let online = host_thread::online();
            return Err(property.error(format!("none of the CPUs {set} is online; online are {online}")));
        }
        Ok(set)
    }

    /// A length of time.
    fn length(&mut self, names: &[&str]) -> Result<Option<Nanos>, Error> {
        let Some((property, value)) = self.number(names)? else { return Ok(None) };
        if value < Attributes::SHORTEST.0 {
            return Err(property.error(format!("{value} ns is less than 100 µs")));
        }
        if value > Attributes::LONGEST.0 {
            return Err(property.error(format!("{value} ns is more than an hour")));
        }
        Ok(Some(Nanos(value)))
    }

    fn within(&mut self, names: &[&str], least: u32, most: u32, what: &str) -> Result<Option<u32>, Error> {
        let Some((property, value)) = self.number(names)? else { return Ok(None) };
        let fits = u32::try_from(value).ok().filter(|value| (least..=most).contains(value));
        fits.map(Some).ok_or_else(|| property.error(format!("{value} is not a {what} ({least} to {most})")))
    }
}
