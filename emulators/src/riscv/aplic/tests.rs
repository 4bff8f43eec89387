use alloc::vec;

use isa_aia::aplic::{Mode, Register, domaincfg};
use vio::irq::fake;

use super::*;

fn access(register: Register) -> Access {
    Access { offset: register.offset(), width: Width::B4, by: 0 }
}
fn read(aplic: &Aplic, register: Register) -> u32 {
    aplic.read(access(register)).unwrap() as u32
}
fn write(aplic: &Aplic, register: Register, value: u32) {
    aplic.write(access(register), value.into()).unwrap();
}

/// Two CPUs, whose lines lead to pins 0 and 1, and 40 sources; on, and delivering.
fn direct() -> (Aplic, Arc<fake::Pins>) {
    let pins = fake::Pins::new(2);
    let way = Way::direct(vec![pins.line(0), pins.line(1)]);
    let aplic = Aplic { state: Spin::new(State::new(40, way)), messages: None };
    write(&aplic, Register::DomainCfg, domaincfg::IE);
    for hart in 0..2 {
        write(&aplic, Register::IDelivery(hart), 1);
    }
    (aplic, pins)
}

/// A source in a mode, enabled for CPU 0 with a priority.
fn set_up(aplic: &Aplic, source: u32, mode: Mode, priority: u32) {
    write(aplic, Register::SourceCfg(source), mode as u32);
    write(aplic, Register::Target(source), priority);
    write(aplic, Register::SetIeNum, source);
}

/// What was sent.
#[derive(Default)]
struct Sent(Spin<Vec<(u64, u32)>>);

impl Messages for Sent {
    fn send(&self, address: u64, data: u32) {
        self.0.lock().push((address, data));
    }
    fn address(&self, cpu: u32) -> Option<u64> {
        (cpu < 2).then(|| 0x1000 * u64::from(cpu))
    }
}

fn messages() -> (Aplic, Arc<Sent>) {
    let sent = Arc::new(Sent::default());
    let aplic = Aplic { state: Spin::new(State::new(40, Way::Messages(2))), messages: Some(sent.clone()) };
    write(&aplic, Register::DomainCfg, domaincfg::IE);
    (aplic, sent)
}

#[test]
fn the_most_urgent_source_is_claimed_first_and_the_lower_number_among_equals() {
    let (aplic, pins) = direct();
    for (source, priority) in [(3, 2), (35, 1), (36, 1)] {
        set_up(&aplic, source, Mode::EdgeRising, priority);
        aplic.set(source, true);
    }
    assert!(pins.level(0) && !pins.level(1));
    assert_eq!(read(&aplic, Register::TopI(0)), 35 << 16 | 1);
    let claims: Vec<u32> = (0..4).map(|_| read(&aplic, Register::ClaimI(0))).collect();
    assert_eq!(claims, [35 << 16 | 1, 36 << 16 | 1, 3 << 16 | 2, 0]);
    assert!(!pins.level(0));
}

#[test]
fn a_level_is_pending_as_long_as_its_line_is_high_whatever_is_written() {
    let (aplic, pins) = direct();
    set_up(&aplic, 10, Mode::LevelHigh, 1);
    write(&aplic, Register::SetIpNum, 10);
    assert!(!pins.level(0), "software can't make it pending");
    aplic.set(10, true);
    assert_eq!(read(&aplic, Register::ClaimI(0)), 10 << 16 | 1);
    write(&aplic, Register::ClrIpNum, 10);
    assert!(pins.level(0), "nor take it back");
    assert_eq!(read(&aplic, Register::InClrIp(0)), 1 << 10);
    aplic.set(10, false);
    assert!(!pins.level(0));
    assert_eq!(read(&aplic, Register::SetIp(0)), 0);
}

#[test]
fn edges_come_once_and_low_ones_when_the_line_falls() {
    let (aplic, pins) = direct();
    set_up(&aplic, 5, Mode::EdgeFalling, 1);
    aplic.set(5, true);
    assert!(!pins.level(0));
    aplic.set(5, false);
    aplic.set(5, true);
    assert!(pins.level(0), "an edge stays");
    assert_eq!(read(&aplic, Register::ClaimI(0)) >> 16, 5);
    assert!(!pins.level(0));
    set_up(&aplic, 6, Mode::LevelLow, 1);
    assert!(pins.level(0), "a line that is low already");
}

#[test]
fn an_edge_that_becomes_a_level_while_its_line_is_high_is_pending() {
    let (aplic, pins) = direct();
    set_up(&aplic, 5, Mode::EdgeRising, 1);
    aplic.set(5, true);
    assert_eq!(read(&aplic, Register::ClaimI(0)) >> 16, 5);
    assert!(!pins.level(0));
    write(&aplic, Register::SourceCfg(5), Mode::LevelHigh as u32);
    assert!(pins.level(0));
    aplic.set(5, false);
    assert!(!pins.level(0));
}

#[test]
fn the_threshold_and_the_switches_hold_the_line_down() {
    let (aplic, pins) = direct();
    set_up(&aplic, 1, Mode::Detached, 4);
    write(&aplic, Register::SetIpNumLe, 1);
    assert!(pins.level(0));
    write(&aplic, Register::IThreshold(0), 4);
    assert!(!pins.level(0));
    assert_eq!([read(&aplic, Register::TopI(0)), read(&aplic, Register::ClaimI(0))], [0, 0]);
    write(&aplic, Register::IThreshold(0), 5);
    assert!(pins.level(0));
    for (register, on) in [(Register::IDelivery(0), 1), (Register::DomainCfg, domaincfg::IE)] {
        write(&aplic, register, 0);
        assert!(!pins.level(0));
        write(&aplic, register, on);
        assert!(pins.level(0));
    }
    write(&aplic, Register::ClrIe(0), 1 << 1);
    assert!(!pins.level(0));
}

#[test]
fn a_forced_interrupt_is_over_with_an_empty_claim() {
    let (aplic, pins) = direct();
    write(&aplic, Register::IForce(1), 1);
    assert!(pins.level(1));
    assert_eq!(read(&aplic, Register::ClaimI(1)), 0);
    assert!(!pins.level(1));
    assert_eq!(read(&aplic, Register::IForce(1)), 0);
}

#[test]
fn fields_keep_what_they_can() {
    let (aplic, _) = direct();
    write(&aplic, Register::DomainCfg, u32::MAX);
    assert_eq!(read(&aplic, Register::DomainCfg), domaincfg::READS | domaincfg::IE);
    write(&aplic, Register::Target(3), 7);
    assert_eq!(read(&aplic, Register::Target(3)), 0, "an inactive source has no target");
    set_up(&aplic, 3, Mode::Detached, 0);
    assert_eq!(read(&aplic, Register::Target(3)), 1, "priority 0 is 1");
    write(&aplic, Register::Target(3), 9 << 18 | 2);
    assert_eq!(read(&aplic, Register::Target(3)), 2, "there is no ninth CPU");
    write(&aplic, Register::SetIpNumBe, 3u32.swap_bytes());
    assert_eq!(read(&aplic, Register::SetIp(0)), 1 << 3);
    // Delegation, reserved modes.
    for value in [1 << 10 | 6, 2, 3] {
        write(&aplic, Register::SourceCfg(3), value);
        assert_eq!(read(&aplic, Register::SourceCfg(3)), 0);
    }
    assert_eq!([read(&aplic, Register::SetIp(0)), read(&aplic, Register::SetIe(0))], [0, 0]);
    for register in [Register::SourceCfg(41), Register::Target(41), Register::IThreshold(2)] {
        write(&aplic, register, 6);
        assert_eq!(read(&aplic, register), 0, "{register:?}");
    }
    write(&aplic, Register::SetIe(1), u32::MAX);
    assert_eq!(read(&aplic, Register::SetIe(1)), 0);
    assert_eq!(aplic.read(Access { offset: 0, width: Width::B8, by: 0 }), Err(Refused::Width));
    let chip = Chip(Arc::new(aplic));
    assert_eq!(chip.translate(&[40, 4]), Ok(40));
    assert!(chip.translate(&[41, 4]).is_err() && chip.translate(&[1, 8]).is_err());
}

#[test]
fn a_message_is_sent_for_each_edge_and_each_level_that_rises() {
    let (aplic, sent) = messages();
    for (source, mode) in [(10, Mode::LevelHigh), (11, Mode::EdgeRising)] {
        write(&aplic, Register::SourceCfg(source), mode as u32);
        write(&aplic, Register::Target(source), 1 << 18 | (source + 50));
        write(&aplic, Register::SetIeNum, source);
        aplic.set(source, true);
    }
    assert_eq!(*sent.0.lock(), [(0x1000, 60), (0x1000, 61)]);
    assert_eq!(read(&aplic, Register::SetIp(0)), 0, "what was sent is not pending");
    // The handler is through: it looks again.
    write(&aplic, Register::SetIpNumLe, 10);
    assert_eq!(sent.0.lock().len(), 3);
    aplic.set(10, false);
    write(&aplic, Register::SetIpNumLe, 10);
    assert_eq!(sent.0.lock().len(), 3, "a level that fell is not sent again");
    write(&aplic, Register::GenMsi, 1 << 18 | 9);
    write(&aplic, Register::GenMsi, 2 << 18 | 9);
    assert_eq!(sent.0.lock()[3..], [(0x1000, 9)], "there is no third CPU");
}

#[test]
fn messages_wait_until_the_domain_is_on() {
    let (aplic, sent) = messages();
    write(&aplic, Register::DomainCfg, 0);
    set_up(&aplic, 4, Mode::EdgeRising, 4);
    aplic.set(4, true);
    assert!(sent.0.lock().is_empty());
    write(&aplic, Register::DomainCfg, domaincfg::IE);
    assert_eq!(*sent.0.lock(), [(0, 4)]);
}

#[test]
fn a_reset_forgets_all_but_the_inputs() {
    let (aplic, pins) = direct();
    set_up(&aplic, 3, Mode::LevelHigh, 1);
    aplic.set(3, true);
    assert!(pins.level(0));
    let chip = Chip(Arc::new(aplic));
    chip.reset();
    assert!(!pins.level(0));
    assert_eq!(read(&chip.0, Register::DomainCfg), domaincfg::READS);
    write(&chip.0, Register::DomainCfg, domaincfg::IE);
    write(&chip.0, Register::IDelivery(0), 1);
    set_up(&chip.0, 3, Mode::LevelHigh, 1);
    assert!(pins.level(0), "its line is high still");
}
