//! What a CPU has for itself: its lines, its hardware when it reads about it, a new beginning.

use arch::Width;

use super::simulator::{BOTH, Machine, TIMER};

const PENDING: u64 = 0x200;
const ACTIVE: u64 = 0x300;
/// The physical timer's, a line of the CPU's own.
const OWN: u32 = 30;

#[test]
fn what_is_read_about_an_interrupt_in_ones_own_hardware_is_true_at_once() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_edge(0, 40, true);
        machine.route(40, 1);
        machine.set_line(40, true);
        let is = |machine: &mut Machine| (machine.read_bit(1, PENDING, 40), machine.read_bit(1, ACTIVE, 40));
        machine.enter(1);
        assert_eq!(is(&mut machine), (true, false));
        machine.take(1);
        assert_eq!(is(&mut machine), (false, true));
        machine.write_bit(1, PENDING, 40);
        assert_eq!(is(&mut machine), (true, true));
        machine.end(1, 40);
        assert_eq!(is(&mut machine), (true, false));
        machine.take(1);
        machine.end(1, 40);
        assert_eq!(is(&mut machine), (false, false));
    }
}

#[test]
fn what_is_read_about_another_cpus_hardware_is_true_after_its_next_entry() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.set_edge(0, 40, true);
        machine.set_line(40, true);
        machine.enter(0);
        machine.take(0);
        assert!(!machine.read_bit(1, ACTIVE, 40));
        machine.enter(0);
        assert!(machine.read_bit(1, ACTIVE, 40));
    }
}

#[test]
fn nothing_is_asked_of_hardware_that_holds_nothing() {
    let mut machine = Machine::enabled(BOTH[1], 1, 4, 1);
    machine.enter(0);
    machine.shared.with(|gic| assert!(gic.is_settled(0)));
    machine.set_line(33, true);
    machine.enter(0);
    machine.shared.with(|gic| {
        assert!(!gic.is_settled(0));
        assert!(!gic.is_settled(0), "it did not look yet");
    });
    machine.refresh(0);
    machine.shared.with(|gic| {
        assert!(gic.is_settled(0));
        assert!(!gic.is_settled(0), "it may have been in its guest since");
    });
}

#[test]
fn a_line_of_a_cpus_own_arrives_there_until_it_is_low() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        for cpu in 0..2 {
            machine.enter(cpu);
            machine.wait(cpu);
        }
        machine.set_own_line(1, OWN, true);
        assert!(!machine.enter(0), "it concerns the other one");
        assert!(machine.enter(1), "it is woken");
        assert_eq!(machine.take(1).map(|slot| slot.id), Some(OWN));
        machine.end(1, OWN);
        machine.enter(1);
        assert_eq!(machine.take(1).map(|slot| slot.id), Some(OWN));
        machine.set_own_line(1, OWN, false);
        machine.end(1, OWN);
        machine.enter(1);
        assert_eq!(machine.take(1), None);
    }
}

#[test]
fn a_line_of_a_cpus_own_that_falls_before_it_was_taken_is_taken_back() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.write_bit(0, 0x180, OWN);
        machine.set_own_line(0, OWN, true);
        assert!(machine.read_bit(0, PENDING, OWN), "disabled, it can be pending");
        machine.enter(0);
        assert_eq!(machine.next(0), None);
        machine.write_bit(0, 0x100, OWN);
        machine.enter(0);
        assert_eq!(machine.next(0).map(|slot| slot.id), Some(OWN));
        machine.set_own_line(0, OWN, false);
        machine.enter(0);
        assert_eq!(machine.next(0), None);
        assert!(!machine.read_bit(0, PENDING, OWN));
    }
}

#[test]
fn lines_of_a_cpus_own_keep_their_level_over_a_reset() {
    let mut machine = Machine::enabled(BOTH[1], 1, 4, 1);
    machine.set_own_line(0, OWN, true);
    machine.shared.with(|gic| gic.reset());
    assert!(machine.read_bit(0, PENDING, OWN));
    // What has no such line is not moved: SGIs, and shared interrupts.
    machine.set_own_line(0, 40, true);
    assert_eq!(machine.read(0, PENDING + 4, Width::B4), 0);
}

#[test]
fn what_was_taken_and_ended_does_not_come_again_after_power_on() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 2, 4, 1);
        machine.send(0, 0b10, 5);
        machine.send(0, 0b10, 6);
        machine.enter(1);
        machine.take(1);
        machine.end(1, 5);
        machine.restart(1);
        machine.enter(1);
        assert_eq!(machine.take(1).map(|slot| slot.id), Some(6), "this one was not taken");
        machine.end(1, 6);
        machine.enter(1);
        assert_eq!(machine.next(1), None);
        machine.send(0, 0b10, 2);
        machine.enter(1);
        assert_eq!(machine.take(1).map(|slot| slot.id), Some(2));
    }
}

#[test]
fn the_timer_of_a_cpu_that_is_powered_on_is_silent() {
    for version in BOTH {
        let mut machine = Machine::enabled(version, 1, 4, 1);
        machine.cpus[0].port.timer_line(true, Some(TIMER));
        machine.restart(0);
        machine.enter(0);
        assert_eq!(machine.next(0), None);
        machine.cpus[0].port.timer_line(true, Some(TIMER));
        machine.enter(0);
        assert_eq!(machine.next(0).map(|slot| slot.behind), Some(Some(TIMER)));
    }
}
