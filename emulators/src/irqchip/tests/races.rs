//! Lines that move on one thread while another changes what is looked at: nothing may get lost in between.

use std::thread;

use atomic::{Arc, AtomicBool, AtomicU32, Ordering};

use super::simulator::Machine;
use crate::irqchip::state::Version;

/// An edge.
const ID: u32 = 40;

/// A line that rises and falls, and counts.
fn raise_often(machine: &Machine, raised: Arc<AtomicU32>, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let shared = machine.shared.clone();
    thread::spawn(move || {
        use vio::irq::Pins;
        while !stop.load(Ordering::SeqCst) {
            shared.inputs.set(ID, true);
            raised.fetch_add(1, Ordering::SeqCst);
            shared.inputs.set(ID, false);
            thread::yield_now();
        }
    })
}

/// Runs `disturb` again and again beside the line, and wants an interrupt for it each time.
fn race(rounds: u32, disturb: impl Fn(&mut Machine, u32)) {
    let mut machine = Machine::enabled(Version::V3, 2, 4, 1);
    machine.set_edge(0, ID, true);
    let (raised, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
    let raiser = raise_often(&machine, raised.clone(), stop.clone());
    for round in 0..rounds {
        disturb(&mut machine, round);
        let before = raised.load(Ordering::SeqCst);
        // Two more, so that one began and ended after we looked.
        while raised.load(Ordering::SeqCst).wrapping_sub(before) < 2 {
            thread::yield_now();
        }
        let mut taken = 0;
        for _ in 0..100 {
            for cpu in 0..2 {
                if machine.enter(cpu) {
                    if let Some(slot) = machine.take(cpu) {
                        machine.end(cpu, slot.id);
                        taken += 1;
                    }
                    machine.wait(cpu);
                }
            }
            if taken > 0 {
                break;
            }
        }
        assert!(taken > 0, "an edge got lost in round {round}");
    }
    stop.store(true, Ordering::SeqCst);
    raiser.join().unwrap();
}

#[test]
fn an_edge_is_not_lost_while_it_is_enabled_and_disabled() {
    race(3000, |machine, _| {
        machine.write_bit(0, 0x180, ID);
        machine.write_bit(0, 0x100, ID);
    });
}

#[test]
fn an_edge_is_not_lost_while_it_is_rerouted() {
    race(3000, |machine, round| machine.route(ID, round % 2));
}
