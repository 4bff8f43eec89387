//! Every interrupt arrives: once per edge, again and again while a level is high; case by case.

use std::vec::Vec;

use arch::{SlotState, Width};

use super::simulator::{BOTH, Machine, TIMER};
use crate::irqchip::state::Version;

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
        // It is known, and the first CPU did not look yet.
        assert!(machine.read_bit(0, 0x200, 40));
        machine.route(40, 1);
        assert!(machine.enter(1));
        assert_eq!(machine.next(1).map(|slot| slot.id), Some(40));
    }
}

#[test]
fn the_timer_and_a_line_at_once_arrive_both() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.set_edge(0, 40, true);
        machine.enter(0);
        machine.cpus[0].port.timer_line(true, Some(TIMER));
        machine.set_line(40, true);
        assert_eq!(serve(&mut machine, 0), [TIMER, 40]);
    }
}

#[test]
fn a_timer_that_comes_again_is_not_active_any_more() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    let port = machine.cpus[0].port.clone();
    port.timer_line(true, Some(TIMER));
    machine.enter(0);
    machine.take(0);
    let _ = machine.read_bit(0, 0x300, TIMER);
    machine.enter(0);
    assert!(machine.read_bit(0, 0x300, TIMER));
    machine.end(0, TIMER);
    port.timer_line(true, Some(TIMER));
    machine.enter(0);
    assert!(!machine.read_bit(0, 0x300, TIMER));
}

#[test]
fn the_timer_after_a_reset_does_not_leave_old_interrupts_in_the_hardware() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    for id in 40..43 {
        machine.set_line(id, true);
    }
    machine.enter(0);
    machine.shared.with(|gic| gic.reset());
    machine.write(0, 0, Width::B4, 3);
    machine.write_bit(0, 0x100, TIMER);
    machine.cpus[0].port.timer_line(true, Some(TIMER));
    assert_eq!(serve(&mut machine, 0), [TIMER]);
}

#[test]
fn an_sgi_of_another_sender_comes_after_the_one_that_is_served() {
    let mut machine = Machine::enabled(Version::V2, 4, 4, 1);
    machine.send(1, 1, 5);
    machine.enter(0);
    machine.take(0);
    machine.send(2, 1, 5);
    machine.enter(0);
    assert_eq!(machine.cpus[0].held.slots[0].state, SlotState::Active);
    machine.end(0, 5);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| slot.source), Some(2));
    machine.end(0, 5);
    assert_eq!(serve(&mut machine, 0), []);
}

#[test]
fn an_urgent_one_gets_the_first_slot_that_nested_handlers_leave() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    for (id, priority) in [(40, 0x80), (41, 0x60), (42, 0x40), (43, 0x20), (44, 0)] {
        machine.set_edge(0, id, true);
        machine.set_priority(0, id, priority);
        machine.set_line(id, true);
        machine.enter(0);
        machine.take(0);
    }
    assert_eq!(machine.running(0), Some(43), "four slots, four handlers");
    machine.end(0, 43);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| slot.id), Some(44));
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
