//! Which CPU has which policy, as a boot argument says it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use arch::CpuId;

use crate::{SCHEDULERS, Scheduler, find};

/// Which CPU has which policy.
pub struct Plan(Vec<(RangeInclusive<u32>, &'static Scheduler)>);

impl Plan {
    /// Reads names with the CPUs that they are for, `NAME` or `NAME@CPUS`, separated by commas; CPUs are `N`, `N-M`, or
    /// `N-` for all from there on. A name without CPUs is for all; of several for a CPU the last counts.
    ///
    /// # Errors
    /// A text that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        text.split(',').map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// The policy of `cpu`; the default where nothing is said.
    pub fn of(&self, cpu: CpuId) -> &'static Scheduler {
        let found = self.0.iter().rev().find(|(cpus, _)| cpus.contains(&cpu.0));
        found.map_or(default(), |(_, scheduler)| scheduler)
    }
}

/// The policy of CPUs of which nothing is said.
pub fn default() -> &'static Scheduler {
    SCHEDULERS.first().copied().unwrap_or(&crate::priority::SCHEDULER)
}

fn entry(word: &str) -> Result<(RangeInclusive<u32>, &'static Scheduler), String> {
    let (name, cpus) = word.split_once('@').unwrap_or((word, "0-"));
    let scheduler = find(name).ok_or_else(|| {
        let names: Vec<&str> = SCHEDULERS.iter().map(|scheduler| scheduler.name).collect();
        format!("\"{name}\" is no policy ({})", names.join(", "))
    })?;
    let range = range(cpus).ok_or_else(|| format!("\"{cpus}\" is no range of CPUs (N, N-M, N-)"))?;
    Ok((range, scheduler))
}

fn range(text: &str) -> Option<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let first: u32 = first.parse().ok()?;
    let last: u32 = if last.is_empty() { u32::MAX } else { last.parse().ok()? };
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_processor_has_the_last_policy_that_is_for_it() {
        let plan = Plan::parse("share,partition@2-3,deadline@3,monotonic@7-").unwrap();
        let name = |cpu| plan.of(CpuId(cpu)).name;
        assert_eq!(
            [0, 1, 2, 3, 4, 7, 31].map(name),
            ["share", "share", "partition", "deadline", "share", "monotonic", "monotonic"]
        );
        assert_eq!(Plan::parse("share@1").unwrap().of(CpuId(0)).name, "priority");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |text| Plan::parse(text).err().unwrap();
        assert_eq!(wrong("fair"), "\"fair\" is no policy (priority, monotonic, deadline, share, partition)");
        for text in ["share@", "share@x", "share@3-1", "share@-1", "share@1@2"] {
            assert!(wrong(text).contains("is no range of CPUs"), "{text}");
        }
        assert!(Plan::parse("").is_err());
    }
}
