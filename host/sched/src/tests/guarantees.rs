//! Deadlines: met below the bound, whatever others do.

use std::string::ToString;
use std::vec::Vec;

use arch::Nanos;

use super::{MS, Random, Sim, Work, seconds, times, vcpu};
use crate::{Attributes, Kind, Priority};

fn periodic(period: u64, slice: u64) -> Attributes {
    Attributes { period: Some(Nanos(period)), time_slice: Nanos(slice), ..vcpu() }
}

/// A random set of threads that together use `millionths` of the CPU: (period, time slice).
fn set(random: &mut Random, count: u64, millionths: u64) -> Vec<(u64, u64)> {
    let weights: Vec<u64> = (0..count).map(|_| 1 + random.below(100)).collect();
    let all: u64 = weights.iter().sum();
    let periods = |random: &mut Random| (5 + random.below(195)) * MS;
    weights
        .into_iter()
        .map(|weight| (periods(random), weight))
        .map(|(period, weight)| (period, period / 1000 * (millionths * weight / all) / 1000))
        .filter(|(_, slice)| *slice > 100_000)
        .collect()
}

#[test]
fn below_the_bound_rate_monotonic_meets_every_period() {
    let mut random = Random(0xabc);
    for _ in 0..times(60) {
        let mut sim = Sim::new("monotonic");
        for (period, length) in set(&mut random, 6, 690_000) {
            sim.add(periodic(period, length), Work::Periodic { first: random.below(period), period, length });
        }
        sim.run(seconds(20));
        assert!(sim.threads.iter().all(|thread| thread.missed == 0));
    }
}

#[test]
fn priorities_come_before_periods_and_periods_before_none() {
    let mut sim = Sim::new("monotonic");
    let none = sim.add(vcpu(), Work::Endless);
    let short = sim.add(periodic(10 * MS, MS), Work::Periodic { first: 0, period: 10 * MS, length: MS });
    let long =
        sim.add(periodic(100 * MS, MS), Work::Periodic { first: 0, period: 100 * MS, length: 50 * MS });
    let urgent = Attributes { priority: Priority::HIGHEST, ..vcpu() };
    let urgent = sim.add(urgent, Work::Periodic { first: 0, period: 100 * MS, length: 5 * MS });
    sim.run(seconds(10));
    assert_eq!(sim.threads[urgent].slowest, 5 * MS);
    assert_eq!(sim.threads[short].slowest, 6 * MS);
    assert!(sim.threads[long].slowest <= 70 * MS);
    assert_eq!(sim.ran(none), sim.now - sim.ran(short) - sim.ran(long) - sim.ran(urgent));
}

#[test]
fn what_is_admitted_meets_every_deadline() {
    let mut random = Random(0xdead);
    for _ in 0..times(60) {
        let mut sim = Sim::new("deadline");
        for (period, length) in set(&mut random, 7, 940_000) {
            let work = Work::Periodic { first: random.below(period), period, length };
            sim.add(periodic(period, length), work);
        }
        // Somebody without a guarantee always wants the CPU.
        let background = sim.add(Attributes { kind: Kind::System, ..vcpu() }, Work::Endless);
        sim.run(seconds(20));
        for thread in sim.threads.iter().filter(|thread| thread.attributes.period.is_some()) {
            assert_eq!(thread.missed, 0);
            assert!(Some(Nanos(thread.slowest)) <= thread.attributes.period);
        }
        assert!(sim.ran(background) * 100 > sim.now * 4, "the background starves");
    }
}

#[test]
fn who_asks_for_more_than_it_said_hurts_nobody_else() {
    let mut random = Random(0xbeef);
    for _ in 0..times(30) {
        let mut sim = Sim::new("deadline");
        for (period, length) in set(&mut random, 5, 600_000) {
            let work = Work::Periodic { first: random.below(period), period, length };
            sim.add(periodic(period, length), work);
        }
        let honest = sim.threads.len();
        let greedy = sim.add(periodic(50 * MS, 15 * MS), Work::Endless);
        sim.run(seconds(20));
        for thread in &sim.threads[..honest] {
            assert_eq!(thread.missed, 0);
        }
        assert!(sim.ran(greedy).abs_diff(sim.now * 3 / 10) < sim.now / 50, "{}", sim.ran(greedy));
    }
}

#[test]
fn a_deadline_before_the_period_is_met_too() {
    let mut sim = Sim::new("deadline");
    let tight = Attributes { deadline: Some(Nanos(10 * MS)), ..periodic(100 * MS, 5 * MS) };
    let tight = sim.add(tight, Work::Periodic { first: 7 * MS, period: 100 * MS, length: 5 * MS });
    sim.add(periodic(20 * MS, 8 * MS), Work::Endless);
    sim.run(seconds(10));
    assert!(sim.threads[tight].slowest <= 10 * MS, "{}", sim.threads[tight].slowest);
    assert_eq!(sim.threads[tight].missed, 0);
}

#[test]
fn a_set_that_is_too_dense_is_refused_and_told_by_how_much() {
    let mut sim = Sim::new("deadline");
    let idle = Work::Periodic { first: u64::MAX / 2, period: 1, length: 1 };
    let first = sim.add(periodic(100 * MS, 70 * MS), idle);
    let refused = sim.try_add(periodic(100 * MS, 35 * MS), idle).unwrap_err().to_string();
    assert_eq!(
        refused,
        "a density of 35.0 % (time slice 35000 µs in 100000 µs) beside 70.0 % that are admitted \
         is 10.0 % above the limit of 95.0 %"
    );
    // It is the deadline that counts when it comes before the period.
    let tight = Attributes { deadline: Some(Nanos(20 * MS)), ..periodic(100 * MS, 10 * MS) };
    assert!(sim.try_add(tight, idle).is_err());
    sim.add(periodic(100 * MS, 25 * MS), idle);
    // What was refused left nothing behind, and what goes makes room.
    assert!(sim.try_add(periodic(1000 * MS, MS), idle).is_err());
    sim.policy.expel(crate::Slot(first as u32));
    sim.add(periodic(100 * MS, 70 * MS), idle);
    // Somebody who is admitted may not grow beyond what is left.
    let slot = crate::Slot(sim.threads.len() as u32 - 1);
    assert!(sim.policy.enrol(slot, &periodic(100 * MS, 71 * MS)).is_err());
    sim.policy.enrol(slot, &periodic(100 * MS, 69 * MS)).unwrap();
}
