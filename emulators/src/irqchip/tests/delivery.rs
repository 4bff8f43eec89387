//! Every interrupt arrives: once per edge, again and again while a level is high, never without cause.

use std::vec;
use std::vec::Vec;

use arch::{SlotState, Width};

use super::simulator::{Machine, Random, TIMER};
use crate::irqchip::state::Version;

const BOTH: [Version; 2] = [Version::V2, Version::V3];

/// Takes and ends everything that arrives at `cpu`, in order.
fn serve(machine: &mut Machine, cpu: usize) -> Vec<u32> {
    let mut taken = Vec::new();
    for _ in 0..64 {
        machine.enter(cpu);
        let Some(slot) = machine.take(cpu) else { break };
        taken.push(slot.id);
        machine.end(cpu, slot.id);
    }
    taken
}

#[test]
fn an_edge_arrives_once() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_edge(0, 40, true);
        serve(&mut machine, 0);
        machine.set_line(40, true);
        assert_eq!(serve(&mut machine, 0), [40]);
        machine.set_line(40, false);
        assert_eq!(serve(&mut machine, 0), []);
        machine.set_line(40, true);
        machine.set_line(40, false);
        assert_eq!(serve(&mut machine, 0), [40]);
        assert_eq!(serve(&mut machine, 1), []);
    }
}

#[test]
fn a_level_arrives_until_it_is_low() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.set_line(33, true);
        assert_eq!(serve(&mut machine, 0).len(), 64);
        machine.set_line(33, false);
        assert_eq!(serve(&mut machine, 0), []);
    }
}

#[test]
fn a_level_that_fell_before_it_was_taken_is_taken_back() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.set_line(33, true);
    machine.enter(0);
    assert_eq!(machine.next(0).map(|slot| (slot.id, slot.notify)), Some((33, true)));
    machine.set_line(33, false);
    machine.enter(0);
    assert_eq!(machine.next(0), None);
}

#[test]
fn a_level_that_fell_while_it_was_served_needs_no_exchange_at_its_end() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.set_line(33, true);
    machine.enter(0);
    machine.take(0);
    machine.set_line(33, false);
    machine.enter(0);
    let before = machine.cpus[0].exchanges;
    assert!(!machine.cpus[0].held.slots[0].notify);
    machine.end(0, 33);
    machine.enter(0);
    assert_eq!(machine.cpus[0].exchanges, before);
    machine.set_line(33, true);
    assert_eq!(serve(&mut machine, 0).first(), Some(&33));
}

#[test]
fn an_edge_while_its_predecessor_is_served_comes_after_it() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.set_edge(0, 40, true);
    machine.set_line(40, true);
    machine.enter(0);
    machine.take(0);
    machine.set_line(40, false);
    machine.set_line(40, true);
    machine.enter(0);
    assert_eq!(machine.cpus[0].held.slots[0].state, SlotState::PendingActive);
    assert_eq!(machine.next(0), None);
    machine.end(0, 40);
    assert_eq!(serve(&mut machine, 0), [40]);
}

#[test]
fn the_most_urgent_comes_first_and_the_rest_follows_through_few_slots() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 2, 2);
        for id in 32..64 {
            machine.set_edge(0, id, true);
            machine.set_priority(0, id, ((63 - id) * 8) as u8);
            machine.set_line(id, true);
        }
        let expected: Vec<u32> = (32..64).rev().collect();
        assert_eq!(serve(&mut machine, 0), expected);
    }
}

#[test]
fn a_more_urgent_one_takes_the_slot_of_a_less_urgent_one() {
    let mut machine = Machine::enabled(Version::V3, 1, 1, 1);
    for (id, priority) in [(40, 0x80), (41, 0x40)] {
        machine.set_edge(0, id, true);
        machine.set_priority(0, id, priority);
    }
    machine.set_line(40, true);
    machine.enter(0);
    machine.set_line(41, true);
    machine.enter(0);
    assert!(machine.cpus[0].held.overflow);
    assert_eq!(serve(&mut machine, 0), [41, 40]);
    assert!(!machine.cpus[0].held.overflow);
}

#[test]
fn an_sgi_of_version_2_says_who_sent_it_and_each_sender_counts() {
    let mut machine = Machine::enabled(Version::V2, 4, 4, 1);
    for sender in [1, 3, 3, 2] {
        machine.send(sender, 1, 5);
    }
    let mut senders = Vec::new();
    while machine.enter(0)
        && let Some(slot) = machine.take(0)
    {
        assert_eq!(slot.id, 5);
        senders.push(slot.source);
        machine.end(0, 5);
    }
    assert_eq!(senders, [1, 2, 3]);
}

#[test]
fn an_sgi_wakes_its_targets_alone() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 4, 4, 1);
        for cpu in 0..4 {
            machine.enter(cpu);
            machine.wait(cpu);
        }
        machine.send(0, 0b0110, 3);
        assert_eq!([0, 1, 2, 3].map(|cpu| machine.enter(cpu)), [false, true, true, false]);
        assert_eq!(serve(&mut machine, 1), [3]);
        assert_eq!(serve(&mut machine, 2), [3]);
    }
}

#[test]
fn a_disabled_interrupt_waits_until_it_is_enabled() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.set_line(33, true);
        machine.enter(0);
        machine.write_bit(0, 0x180, 33);
        assert_eq!(serve(&mut machine, 0), []);
        assert!(machine.read_bit(0, 0x200, 33));
        machine.write_bit(0, 0x100, 33);
        assert_eq!(serve(&mut machine, 0).first(), Some(&33));
    }
}

#[test]
fn a_line_that_nobody_enabled_wakes_nobody() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.write_bit(0, 0x180, 33);
    machine.enter(0);
    machine.wait(0);
    machine.set_line(33, true);
    assert!(!machine.enter(0));
    assert!(machine.read_bit(0, 0x200, 33));
}

#[test]
fn a_rerouted_interrupt_leaves_the_slots_of_the_first_cpu() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_line(40, true);
        machine.enter(0);
        assert!(machine.next(0).is_some());
        machine.route(40, 1);
        machine.enter(1);
        assert_eq!(machine.next(1), None, "it is still in the other's hands");
        machine.enter(0);
        assert_eq!(machine.next(0), None);
        assert!(machine.enter(1));
        assert_eq!(machine.next(1).map(|slot| slot.id), Some(40));
    }
}

#[test]
fn the_timer_is_linked_and_comes_again_only_when_the_host_says_so() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        let port = machine.cpus[0].port.clone();
        for _ in 0..3 {
            port.timer_line(true, Some(TIMER));
            machine.enter(0);
            let slot = machine.take(0).unwrap();
            assert_eq!((slot.id, slot.behind, slot.notify), (TIMER, Some(TIMER), false));
            machine.end(0, TIMER);
            assert_eq!(serve(&mut machine, 0), []);
        }
        // Seen by software: the level counts.
        port.timer_line(true, None);
        machine.enter(0);
        assert_eq!(machine.take(0).map(|slot| (slot.behind, slot.notify)), Some((None, true)));
        port.timer_line(false, None);
        machine.end(0, TIMER);
        assert_eq!(serve(&mut machine, 0), []);
    }
}

#[test]
fn a_timer_that_the_guest_disabled_waits_with_its_host_interrupt() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.write_bit(0, 0x180, TIMER);
    machine.cpus[0].port.timer_line(true, Some(TIMER));
    assert_eq!(serve(&mut machine, 0), []);
    machine.write_bit(0, 0x100, TIMER);
    machine.enter(0);
    assert_eq!(machine.take(0).and_then(|slot| slot.behind), Some(TIMER));
}

#[test]
fn a_timer_set_pending_by_hand_while_it_is_linked_comes_after_that() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.cpus[0].port.timer_line(true, Some(TIMER));
        machine.enter(0);
        machine.take(0);
        machine.write_bit(0, 0x200, TIMER);
        machine.enter(0);
        assert!(!machine.cpus[0].held.overflow, "nothing waits for a slot");
        machine.end(0, TIMER);
        machine.enter(0);
        assert_eq!(machine.next(0).map(|slot| (slot.id, slot.behind)), Some((TIMER, None)));
        assert_eq!(serve(&mut machine, 0), [TIMER]);
    }
}

#[test]
fn a_timer_that_waits_in_a_slot_is_linked_when_its_host_interrupt_comes() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    let port = machine.cpus[0].port.clone();
    for (behind, again) in [(None, Some(TIMER)), (Some(TIMER), None)] {
        port.timer_line(true, behind);
        machine.enter(0);
        port.timer_line(true, again);
        machine.enter(0);
        assert_eq!(machine.next(0).map(|slot| slot.behind), Some(again));
    }
}

#[test]
fn a_linked_interrupt_set_active_by_hand_is_not_pending_beside() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.redistributor(0, 0, 0x1_0c04, Width::B4, Some(u64::from(u32::MAX)));
    machine.cpus[0].port.timer_line(true, Some(TIMER));
    machine.enter(0);
    machine.write_bit(0, 0x300, TIMER);
    machine.enter(0);
    assert_eq!(machine.cpus[0].held.slots[0].state, SlotState::Active);
    machine.end(0, TIMER);
    assert_eq!(serve(&mut machine, 0), [TIMER]);
}

#[test]
fn an_sgi_that_was_disabled_in_the_hardware_still_knows_its_sender() {
    let mut machine = Machine::enabled(Version::V2, 4, 4, 1);
    machine.send(3, 1, 5);
    machine.enter(0);
    machine.write_bit(0, 0x180, 5);
    machine.enter(0);
    assert_eq!(machine.next(0), None);
    assert_eq!(machine.read(0, 0xf14, Width::B4), 0b1000 << 8);
    machine.write_bit(0, 0x100, 5);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| (slot.id, slot.source)), Some((5, 3)));
}

#[test]
fn rerouting_what_waits_wakes_the_new_target() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        for cpu in 0..2 {
            machine.enter(cpu);
            machine.wait(cpu);
        }
        machine.set_line(40, true);
        // A write by the first CPU, which did not look yet.
        machine.route(40, 1);
        assert!(machine.enter(1));
        assert_eq!(machine.next(1).map(|slot| slot.id), Some(40));
    }
}

#[test]
fn polling_for_the_end_of_an_interrupt_sees_it() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_edge(0, 40, true);
        machine.set_line(40, true);
        machine.enter(0);
        machine.take(0);
        let _ = machine.read_bit(1, 0x300, 40);
        machine.enter(0);
        assert!(machine.read_bit(1, 0x300, 40));
        machine.end(0, 40);
        let _ = machine.read_bit(1, 0x300, 40);
        machine.enter(0);
        assert!(!machine.read_bit(1, 0x300, 40));
    }
}

#[test]
fn clearing_what_is_held_takes_it_back() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.set_edge(0, 40, true);
        machine.set_line(40, true);
        machine.enter(0);
        machine.write_bit(0, 0x280, 40);
        assert_eq!(serve(&mut machine, 0), []);
        machine.set_line(40, false);
        machine.set_line(40, true);
        machine.enter(0);
        machine.take(0);
        machine.write_bit(0, 0x380, 40);
        machine.enter(0);
        assert_eq!(machine.running(0), None);
        machine.write_bit(0, 0x300, 41);
        machine.enter(0);
        assert_eq!(machine.running(0), Some(41), "set active by hand, so that the guest can end it");
        machine.end(0, 41);
        assert_eq!(serve(&mut machine, 0), []);
    }
}

#[test]
fn a_cpu_that_starts_anew_finds_what_it_had_not_taken() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.send(1, 1, 2);
        machine.enter(0);
        machine.cpus[0].held = arch::Held::new(4);
        machine.shared.with(|gic| gic.reset_cpu(0));
        assert_eq!(serve(&mut machine, 0), [2]);
    }
}

#[test]
fn after_a_reset_nothing_is_left_but_the_levels_of_the_lines() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_line(40, true);
        machine.send(0, 1, 2);
        machine.enter(0);
        machine.shared.with(|gic| gic.reset());
        assert_eq!(serve(&mut machine, 0), []);
        assert_eq!(machine.cpus[0].held.slots[0].state, SlotState::Empty);
        assert_eq!(machine.read(0, 0, Width::B4) & 3, 0);
        assert_eq!(machine.read_word(0, 0x200, 0), 0);
        assert_eq!(machine.read_word(0, 0x200, 1), 1 << 8);
    }
}

/// What the model knows of one shared interrupt.
#[derive(Clone, Default)]
struct Line {
    edge: bool,
    level: bool,
    /// Rises that may still be delivered.
    credit: u32,
    /// It rose and was not taken since.
    owed: bool,
    /// Whether it may arrive at a CPU that did not look since: its level or enable was so at the last look.
    grace: u32,
    enabled: bool,
}

#[test]
fn random_guests_get_every_interrupt_and_no_other() {
    for seed in 0..60 {
        for version in BOTH {
            random_run(version, seed);
        }
    }
}

fn random_run(version: Version, seed: u64) {
    const COUNT: u32 = 64;
    let mut random = Random::new(seed);
    let cpus = 1 + random.below(4);
    let mut machine = Machine::enabled(version, cpus, 1 + random.below(5) as usize, 2);
    let mut lines = vec![Line { enabled: true, ..Line::default() }; COUNT as usize];
    for id in 32..32 + COUNT {
        let line = &mut lines[id as usize - 32];
        line.edge = random.one_in(2);
        machine.set_edge(0, id, line.edge);
        machine.set_priority(0, id, (random.below(8) * 0x20) as u8);
    }
    let mut timers = vec![false; cpus as usize];
    for step in 0..3000 {
        let id = 32 + random.below(if step % 500 < 250 { 6 } else { COUNT });
        let line = &mut lines[id as usize - 32];
        let cpu = random.below(cpus) as usize;
        match random.below(12) {
            0..3 => {
                let level = random.one_in(2);
                machine.set_line(id, level);
                if level && !line.level {
                    line.credit += 1;
                    line.owed = true;
                }
                line.level = level;
                line.grace = u32::MAX;
            }
            3 => machine.route(id, random.below(cpus)),
            4 if random.one_in(4) => {
                line.enabled = !line.enabled;
                machine.write_bit(cpu as u32, if line.enabled { 0x100 } else { 0x180 }, id);
                line.grace = u32::MAX;
            }
            5 if random.one_in(4) => machine.wait(cpu),
            6..9 => {
                if machine.enter(cpu) {
                    for line in &mut lines {
                        line.grace &= !(1 << cpu);
                    }
                }
            }
            9..11 => took(&mut machine, &mut lines, &mut timers, cpu),
            11 if random.one_in(3) && !machine.cpus[cpu].timer_active => {
                // The host's interrupt comes while the guest runs, and not again before it is ended.
                if machine.enter(cpu) {
                    machine.cpus[cpu].timer_active = true;
                    machine.cpus[cpu].port.timer_line(true, Some(TIMER));
                    timers[cpu] = true;
                }
            }
            _ => {
                if let Some(id) = machine.running(cpu) {
                    machine.end(cpu, id);
                }
            }
        }
    }
    settle(&mut machine, &mut lines, &mut timers, seed);
    assert!(timers.iter().all(|owed| !owed), "a timer's interrupt never came (seed {seed})");
}

/// A guest takes an interrupt, which must have had a cause.
fn took(machine: &mut Machine, lines: &mut [Line], timers: &mut [bool], cpu: usize) {
    let Some(slot) = machine.take(cpu) else { return };
    if slot.id == TIMER {
        assert!(timers[cpu] && slot.behind == Some(TIMER), "the timer's interrupt comes without a cause");
        timers[cpu] = false;
        return;
    }
    let line = &mut lines[slot.id as usize - 32];
    let late = line.grace & 1 << cpu != 0;
    assert!(line.enabled || late, "{} is disabled", slot.id);
    if line.edge {
        assert!(line.credit > 0, "{} comes without an edge", slot.id);
        line.credit -= 1;
    } else {
        assert!(line.level || late, "{} comes without a level", slot.id);
    }
    line.owed = false;
}

/// Everything that is due arrives; then, all lines low, nothing is left.
fn settle(machine: &mut Machine, lines: &mut [Line], timers: &mut [bool], seed: u64) {
    for (id, line) in (32..).zip(lines.iter_mut()) {
        machine.write_bit(0, 0x100, id);
        line.enabled = true;
        if !line.edge {
            line.owed = line.level;
        }
    }
    for round in 0..2 {
        for _ in 0..lines.len() * 8 {
            for cpu in 0..timers.len() {
                machine.enter(cpu);
                while let Some(id) = machine.running(cpu) {
                    machine.end(cpu, id);
                }
                machine.enter(cpu);
                if let Some(slot) = machine.next(cpu) {
                    took(machine, lines, timers, cpu);
                    serve_device(machine, lines, slot.id);
                    machine.end(cpu, slot.id);
                }
                machine.wait(cpu);
            }
        }
        for (id, line) in lines.iter_mut().enumerate() {
            assert!(!line.owed, "interrupt {} never came (seed {seed})", id + 32);
            // What follows has no cause any more.
            if round == 0 {
                line.credit = 0;
                line.level = false;
                line.grace = 0;
            }
        }
    }
}

/// The guest makes the device lower its line.
fn serve_device(machine: &Machine, lines: &mut [Line], id: u32) {
    if let Some(line) = id.checked_sub(32).and_then(|index| lines.get_mut(index as usize))
        && !line.edge
    {
        line.level = false;
        line.grace = u32::MAX;
        machine.set_line(id, false);
    }
}
