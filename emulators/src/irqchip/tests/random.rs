//! Every interrupt arrives, and none without a cause: random guests against a model of what they are owed.

use std::vec;

use super::simulator::{BOTH, Machine, Random, TIMER};
use crate::irqchip::state::Version;

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
