//! What the registers say, and that nothing which a guest writes breaks anything.

use arch::Width;

use super::simulator::{BOTH, Machine, Random, TIMER};
use crate::irqchip::state::Version;

#[test]
fn a_version_3_says_what_it_is() {
    let mut machine = Machine::new(Version::V3, 2, 4, 2);
    assert_eq!(machine.read(0, 0, Width::B4), 0x50);
    machine.write(0, 0, Width::B4, 0xffff_ffff);
    assert_eq!(machine.read(0, 0, Width::B4), 0x53);
    let typer = machine.read(0, 4, Width::B4);
    assert_eq!((typer & 0x1f, typer >> 10 & 1, typer >> 17 & 1), (2, 0, 0), "96 interrupts, no LPIs");
    assert_eq!(machine.read(0, 0xffe8, Width::B4) & 0xf0, 0x30);
    for cpu in 0..2 {
        let typer = machine.redistributor(0, cpu, 8, Width::B8, None);
        assert_eq!(typer, (cpu as u64) << 32 | (cpu as u64) << 8 | (cpu as u64) << 4);
        assert_eq!(machine.redistributor(0, cpu, 0xc, Width::B4, None), cpu as u64);
        assert_eq!(machine.redistributor(0, cpu, 0xffe8, Width::B4, None) & 0xf0, 0x30);
        assert_eq!(machine.redistributor(0, cpu, 0x14, Width::B4, None), 6);
        machine.redistributor(0, cpu, 0x14, Width::B4, Some(0));
        assert_eq!(machine.redistributor(0, cpu, 0x14, Width::B4, None), 0);
    }
}

#[test]
fn a_version_2_says_what_it_is() {
    let mut machine = Machine::new(Version::V2, 4, 4, 1);
    assert_eq!(machine.read(0, 4, Width::B4), 3 << 5 | 1);
    assert_eq!(machine.read(0, 0xfe8, Width::B4) & 0xf0, 0x20);
    assert_eq!(machine.read(2, 0x800, Width::B4), 0x0404_0404, "its own bit, for its own interrupts");
    machine.write(0, 0x820, Width::B4, 0xff0f_0201);
    assert_eq!(machine.read(0, 0x820, Width::B4), 0x0f0f_0201);
    let mut alone = Machine::new(Version::V2, 1, 4, 1);
    alone.write(0, 0x820, Width::B4, 0x0101_0101);
    assert_eq!(alone.read(0, 0x820, Width::B4), 0);
}

#[test]
fn the_first_32_of_version_3_are_in_the_redistributors_alone() {
    let mut machine = Machine::new(Version::V3, 2, 4, 1);
    machine.write(0, 0x100, Width::B4, u64::from(u32::MAX));
    assert_eq!(machine.read(0, 0x100, Width::B4), 0);
    machine.redistributor(0, 1, 0x1_0100, Width::B4, Some(1 << 27));
    assert_eq!(machine.redistributor(1, 1, 0x1_0180, Width::B4, None), 1 << 27);
    assert_eq!(machine.redistributor(1, 0, 0x1_0180, Width::B4, None), 0);
    assert_eq!(machine.redistributor(1, 0, 0x1_0c00, Width::B4, None), 0xaaaa_aaaa, "SGIs are edges");
}

#[test]
fn priorities_are_bytes_with_five_bits() {
    for version in BOTH {
        let mut machine = Machine::new(version, 1, 4, 1);
        machine.write(0, 0x420, Width::B4, 0xff80_41a7);
        assert_eq!(machine.read(0, 0x420, Width::B4), 0xf880_40a0);
        machine.write(0, 0x422, Width::B1, 0x18);
        assert_eq!(machine.read(0, 0x422, Width::B2), 0xf818);
    }
}

#[test]
fn routes_are_read_and_written_whole_or_by_halves() {
    let mut machine = Machine::new(Version::V3, 2, 4, 1);
    machine.write(0, 0x6108, Width::B8, u64::MAX);
    assert_eq!(machine.read(0, 0x6108, Width::B8), 0xff_80ff_ffff);
    machine.write(0, 0x610c, Width::B4, 0);
    assert_eq!(machine.read(0, 0x6108, Width::B4), 0x80ff_ffff);
    assert_eq!(machine.read(0, 0x610c, Width::B4), 0);
    machine.write(0, 0x60f8, Width::B8, 1);
    assert_eq!(machine.read(0, 0x60f8, Width::B8), 0, "there is none for private interrupts");
}

#[test]
fn an_interrupt_for_any_cpu_goes_to_one_that_is_awake() {
    let mut machine = Machine::enabled(Version::V3, 3, 4, 1);
    machine.write(0, 0x6000 + 40 * 8, Width::B8, 1 << 31);
    machine.redistributor(1, 1, 0x14, Width::B4, Some(0));
    machine.set_line(40, true);
    for (cpu, expected) in [(0, None), (1, Some(40)), (2, None)] {
        machine.enter(cpu);
        assert_eq!(machine.next(cpu).map(|slot| slot.id), expected);
    }
}

#[test]
fn a_message_is_an_interrupt() {
    let mut machine = Machine::enabled(Version::V3, 1, 4, 1);
    machine.set_edge(0, 50, true);
    machine.write(0, 0x40, Width::B4, 50);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| slot.id), Some(50));
    machine.end(0, 50);
    machine.write(0, 0x40, Width::B4, 7);
    machine.write(0, 0x40, Width::B4, 1023);
    machine.enter(0);
    assert_eq!(machine.next(0), None);
}

#[test]
fn a_sender_of_an_sgi_is_seen_and_cleared() {
    let mut machine = Machine::enabled(Version::V2, 3, 4, 1);
    machine.send(1, 1, 6);
    machine.send(2, 1, 6);
    assert_eq!(machine.read(0, 0xf14, Width::B4), 0b110 << 16);
    machine.enter(0);
    assert_eq!(machine.read(0, 0xf24, Width::B4), 0b110 << 16, "in hardware or not");
    machine.write(0, 0xf16, Width::B1, 0b010);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| slot.source), Some(2));
    machine.end(0, 6);
    machine.enter(0);
    assert_eq!(machine.next(0), None);
    machine.write(0, 0xf26, Width::B1, 0b100);
    machine.enter(0);
    assert_eq!(machine.take(0).map(|slot| slot.source), Some(2));
}

#[test]
fn nothing_that_guests_write_breaks_anything() {
    for seed in 0..40 {
        for version in BOTH {
            storm(version, seed);
        }
    }
}

/// Random accesses to all registers by all CPUs, while lines move and guests take and end interrupts; the
/// invariants are checked at every exchange.
fn storm(version: Version, seed: u64) {
    let mut random = Random::new(seed + 1000);
    let cpus = 1 + random.below(8);
    let words = 1 + random.below(31) as usize;
    let slots = 1 + random.below(16) as usize;
    let mut machine = if random.one_in(2) {
        Machine::new(version, cpus, slots, words)
    } else {
        Machine::enabled(version, cpus, slots, words)
    };
    for _ in 0..2000 {
        let cpu = random.below(cpus);
        let own = cpu as usize;
        let width =
            [Width::B1, Width::B2, Width::B4, Width::B4, Width::B4, Width::B8][random.below(6) as usize];
        let value = random.any() & random.any() & width.mask();
        let aligned = |offset: u32| u64::from(offset) & !(width.bytes() - 1);
        match random.below(20) {
            0..3 => machine.write(cpu, aligned(random.below(0x1000)), width, value),
            3 => machine.write(cpu, aligned(random.below(0x1_0000)), width, value),
            4 => machine.write(cpu, 0, Width::B4, 3),
            5 => {
                let _ = machine.read(cpu, aligned(random.below(0x1_0000)), width);
            }
            6 if version == Version::V3 => {
                let offset = aligned(0x1_0000 + random.below(0xd00));
                let of = random.below(cpus) as usize;
                machine.redistributor(cpu, of, offset, width, Some(value));
            }
            7 if version == Version::V3 => {
                let of = random.below(cpus) as usize;
                let value = random.one_in(2).then_some(value);
                machine.redistributor(cpu, of, aligned(random.below(0x2_0000)), width, value);
            }
            8 => machine.send(cpu, random.below(256), random.below(16)),
            9..12 => machine.set_line(random.below(1200), random.one_in(2)),
            12 => host_timer(&mut machine, own, random.below(3)),
            13 if random.one_in(20) => machine.shared.with(|gic| gic.reset_cpu(own)),
            14 if random.one_in(50) => machine.shared.with(|gic| gic.reset()),
            15 => drop(machine.take(own)),
            16 => {
                if let Some(id) = machine.running(own) {
                    machine.end(own, id);
                }
            }
            17 => machine.wait(own),
            _ => drop(machine.enter(own)),
        }
    }
    machine.check();
}

fn host_timer(machine: &mut Machine, cpu: usize, what: u32) {
    let own = &mut machine.cpus[cpu];
    match what {
        0 => own.port.timer_line(false, None),
        1 => own.port.timer_line(true, None),
        _ => {
            own.timer_active = true;
            own.port.timer_line(true, Some(TIMER));
        }
    }
}
