//! Who gets how much: turns, weights, caps, a CPU of one's own.

use std::vec::Vec;

use super::{MS, Random, Sim, Work, seconds, times, vcpu};
use crate::{Attributes, Kind, Priority};

/// `part` of `whole` is `percent` of it, within one percent of the whole.
fn is_share(part: u64, whole: u64, percent: u64) -> bool {
    part.abs_diff(whole * percent / 100) <= whole / 100
}

#[test]
fn equal_priorities_share_equally_and_lower_ones_wait() {
    let mut sim = Sim::new("priority");
    let equal: Vec<usize> = (0..4).map(|_| sim.add(vcpu(), Work::Endless)).collect();
    let low = sim.add(Attributes { priority: Priority::LOWEST, ..vcpu() }, Work::Endless);
    sim.run(seconds(10));
    assert!(equal.iter().all(|slot| is_share(sim.ran(*slot), sim.now, 25)));
    assert_eq!(sim.ran(low), 0);
}

#[test]
fn who_is_alone_at_the_top_is_not_interrupted() {
    for name in ["priority", "monotonic", "partition"] {
        let mut sim = Sim::new(name);
        sim.add(Attributes { priority: Priority::HIGHEST, ..vcpu() }, Work::Endless);
        sim.add(Attributes { kind: Kind::System, priority: Priority::LOWEST, ..vcpu() }, {
            // It never has any work while this runs.
            Work::Periodic { first: u64::MAX / 2, period: 1, length: 1 }
        });
        sim.run(10_000 * MS);
        assert_eq!((sim.alarms, sim.switches), (0, 1), "{name}");
    }
}

#[test]
fn weights_say_who_gets_how_much() {
    let mut sim = Sim::new("share");
    let slots = [128, 256, 512, 1024].map(|weight| sim.add(Attributes { weight, ..vcpu() }, Work::Endless));
    sim.run(seconds(60));
    for (slot, percent) in slots.into_iter().zip([7, 13, 27, 53]) {
        assert!(is_share(sim.ran(slot), sim.now, percent), "{slot}: {}", sim.ran(slot));
    }
}

#[test]
fn extreme_weights_starve_nobody() {
    let mut sim = Sim::new("share");
    let light = sim.add(Attributes { weight: 1, ..vcpu() }, Work::Endless);
    sim.add(Attributes { weight: Attributes::MAX_WEIGHT, ..vcpu() }, Work::Endless);
    sim.run(600_000 * MS);
    let ran = sim.ran(light);
    assert!(ran > 5 * MS && ran < 60 * MS, "{ran}");
}

#[test]
fn caps_are_kept_also_when_nobody_else_is_there() {
    let mut sim = Sim::new("share");
    let capped = sim.add(Attributes { cap: 20, weight: 10_000, ..vcpu() }, Work::Endless);
    for second in 1..=20 {
        sim.run(second * 1000 * MS);
        assert!(sim.ran(capped) <= second * 200 * MS + 20 * MS, "after {second} s: {}", sim.ran(capped));
    }
    assert!(is_share(sim.ran(capped), sim.now, 20));
    let other = sim.add(vcpu(), Work::Endless);
    let (before, from) = (sim.ran(capped), sim.now);
    sim.run(40_000 * MS);
    assert!(is_share(sim.ran(capped) - before, sim.now - from, 20));
    assert!(is_share(sim.ran(other), sim.now - from, 80));
}

#[test]
fn who_sleeps_most_of_the_time_waits_little_and_gains_nothing() {
    let mut sim = Sim::new("share");
    let busy: Vec<usize> = (0..3).map(|_| sim.add(vcpu(), Work::Endless)).collect();
    let lazy = sim.add(vcpu(), Work::Periodic { first: seconds(5), period: 100 * MS, length: MS });
    let greedy = sim.add(vcpu(), Work::Periodic { first: 3 * MS, period: 10 * MS, length: 9 * MS });
    sim.run(seconds(30));
    assert!(sim.threads[lazy].slowest <= 2 * MS, "{}", sim.threads[lazy].slowest);
    // It wants 90 %, in small pieces, and gets what the others get.
    let fair = (sim.now - sim.ran(lazy)) / 4;
    for slot in busy.into_iter().chain([greedy]) {
        assert!(sim.ran(slot).abs_diff(fair) < fair / 10, "{slot}: {} of {fair}", sim.ran(slot));
    }
}

#[test]
fn shares_hold_for_random_sets() {
    let mut random = Random(0xfa1);
    for _ in 0..times(20) {
        let mut sim = Sim::new("share");
        let weights: Vec<u32> = (0..2 + random.below(6)).map(|_| 64 + random.below(1000) as u32).collect();
        for weight in &weights {
            sim.add(Attributes { weight: *weight, ..vcpu() }, Work::Endless);
        }
        sim.run(seconds(60));
        let all: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
        for (slot, weight) in weights.iter().enumerate() {
            let fair = sim.now * u64::from(*weight) / all;
            assert!(sim.ran(slot).abs_diff(fair) < sim.now / 100, "{weight} of {weights:?}");
        }
    }
}

#[test]
fn a_partition_belongs_to_one() {
    let mut sim = Sim::new("partition");
    let owner = sim.add(vcpu(), Work::Endless);
    let refused = sim.try_add(vcpu(), Work::Endless).unwrap_err();
    assert!(refused.0.contains("belongs to another vCPU"));
    let system = Attributes { kind: Kind::System, ..vcpu() };
    let errand = sim.add(system, Work::Periodic { first: 500 * MS, period: 1000 * MS, length: MS });
    sim.run(10_000 * MS);
    assert_eq!((sim.ran(errand), sim.ran(owner)), (10 * MS, 9_990 * MS));
    // Twice for each errand and once to begin with; and no alarm at all.
    assert_eq!((sim.switches, sim.alarms), (21, 0));
    assert_eq!(sim.threads[errand].slowest, MS);
}
