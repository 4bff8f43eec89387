//! PrimeCell real time clock PL031, r1p3 (ARM DDI 0224).
//!
//! It shows the host's time of day, moved by what the guest loads; seconds since power-on where the host
//! does not know the time. The clock runs from the beginning, as firmware would have left it.

use atomic::Arc;
use host_sync::Spin;
use vio::irq::IrqLine;
use vm_bus::{Access, Device, Refused, Work};
use vm_machine::{Model, NotWired, Wires};

use super::alarm::Alarm;
use super::host_time;

pub(crate) const MODEL: Model = Model { name: "pl031", compatible: &["arm,pl031"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let irq = wires.irq(0)?;
    let alarm = Alarm::new(wires);
    wires.map(0, Arc::new(Spin::<_>::new(Pl031::new(irq, alarm))))
}

// Registers (3.2).
const DR: u64 = 0x00;
const MR: u64 = 0x04;
const LR: u64 = 0x08;
const CR: u64 = 0x0c;
const IMSC: u64 = 0x10;
const RIS: u64 = 0x14;
const MIS: u64 = 0x18;
const ICR: u64 = 0x1c;
const PERIPH_ID: u64 = 0xfe0;
const LAST: u64 = 0xffc;

/// RTCPeriphID0 to 3 and RTCPCellID0 to 3 (3.3.9, 3.3.10): part 0x031 of Arm.
const ID: [u8; 8] = [0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

struct Pl031 {
    // Wires.
    irq: IrqLine,
    /// For when the clock reaches the match register.
    alarm: Alarm,
    // What the guest set.
    matches: u32,
    load: u32,
    enabled: bool,
    mask: bool,
    // What follows.
    /// What is added to the host's seconds.
    offset: u32,
    raw: bool,
}

const SECOND: u64 = 1_000_000_000;

/// Seconds as the clock counts them: 32 bits that wrap.
#[expect(clippy::cast_possible_truncation, reason = "the register has 32 bits, and wraps")]
fn seconds(nanos: u64) -> u32 {
    (nanos / SECOND) as u32
}

impl Pl031 {
    fn new(irq: IrqLine, alarm: Alarm) -> Self {
        Self { irq, alarm, matches: 0, load: 0, enabled: true, mask: false, offset: 0, raw: false }
    }

    fn now(&self) -> u32 {
        seconds(host_time()).wrapping_add(self.offset)
    }

    /// Sets the alarm for when the clock reaches the match register.
    fn watch(&mut self) {
        let left = self.matches.wrapping_sub(self.now());
        // Seconds begin with the host's; the first one is partly over.
        let begun = if left == 0 { 0 } else { host_time() % SECOND };
        self.alarm.set(u64::from(left) * SECOND - begun);
    }

    /// The one place that derives the line's level from the state.
    fn settle(&self) {
        self.irq.set(self.raw && self.mask);
    }
}

impl Device for Pl031 {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        let value = match access.word()? {
            DR => self.now(),
            MR => self.matches,
            LR => self.load,
            CR => self.enabled.into(),
            IMSC => self.mask.into(),
            RIS => self.raw.into(),
            MIS => (self.raw && self.mask).into(),
            ICR => return Err(Refused::WriteOnly),
            offset @ PERIPH_ID..=LAST => crate::id::byte(&ID, offset - PERIPH_ID),
            _ => return Err(Refused::Nothing),
        };
        Ok(value.into())
    }

    fn write(&mut self, access: Access, value: u64) -> Result<(), Refused> {
        let bit = value & 1 != 0;
        let [a, b, c, d, ..] = value.to_le_bytes();
        let value = u32::from_le_bytes([a, b, c, d]);
        match access.word()? {
            MR => {
                self.matches = value;
                self.watch();
            }
            LR => {
                self.load = value;
                self.offset = value.wrapping_sub(seconds(host_time()));
                self.watch();
            }
            // Once on, it stays on (3.3.4).
            CR => self.enabled |= bit,
            IMSC => self.mask = bit,
            ICR => self.raw &= !bit,
            DR | RIS | MIS | PERIPH_ID..=LAST => return Err(Refused::ReadOnly),
            _ => return Err(Refused::Nothing),
        }
        self.settle();
        Ok(())
    }

    fn poll(&mut self) -> Work {
        if self.alarm.take() {
            self.raw = true;
            self.settle();
        }
        Work::Done
    }

    fn reset(&mut self) {
        self.alarm.cancel();
        self.matches = 0;
        self.load = 0;
        self.enabled = true;
        self.mask = false;
        self.offset = 0;
        self.raw = false;
        self.settle();
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        tree.field("seconds", self.now());
        tree.field("match", self.matches);
        tree.field("match is due", format_args!("{:?}", self.alarm.due()));
        tree.field("interrupt", self.raw && self.mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arch::{Nanos, Width};
    use arch_hosted::time::advance;
    use atomic::{AtomicU32, Ordering};
    use vio::irq::fake::Pins;

    fn rtc() -> (Pl031, Arc<Pins>, Arc<AtomicU32>) {
        use arch::Cpu;
        arch::Machine::on_interrupt(host_thread::simple_entry);
        let _ = host_thread::start();
        let (pins, rings) = (Pins::new(1), Arc::new(AtomicU32::new(0)));
        let counted = rings.clone();
        let alarm = Alarm::calling(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        (Pl031::new(pins.line(0), alarm), pins, rings)
    }
    fn read(rtc: &mut Pl031, offset: u64) -> u32 {
        rtc.read(Access { offset, width: Width::B4, by: 0 }).unwrap() as u32
    }
    fn write(rtc: &mut Pl031, offset: u64, value: u32) {
        rtc.write(Access { offset, width: Width::B4, by: 0 }, value.into()).unwrap();
    }

    #[test]
    fn it_counts_from_what_was_loaded() {
        let (mut rtc, ..) = rtc();
        write(&mut rtc, LR, 1000);
        assert_eq!(read(&mut rtc, DR), 1000);
        advance(Nanos::from_millis(3_000));
        assert_eq!(read(&mut rtc, DR), 1003);
        assert_eq!(read(&mut rtc, LR), 1000);
        assert_eq!(read(&mut rtc, CR), 1);
    }

    #[test]
    fn reaching_the_match_interrupts_until_it_is_cleared() {
        let (mut rtc, pins, rings) = rtc();
        write(&mut rtc, LR, 50);
        write(&mut rtc, IMSC, 1);
        write(&mut rtc, MR, 60);
        advance(Nanos::from_millis(9_000));
        rtc.poll();
        assert!(!pins.level(0));
        advance(Nanos::from_millis(1_000));
        assert_eq!(rings.load(Ordering::Relaxed), 1);
        rtc.poll();
        assert!(pins.level(0));
        assert_eq!(read(&mut rtc, MIS), 1);
        write(&mut rtc, ICR, 1);
        assert!(!pins.level(0));
    }

    #[test]
    fn registers_are_words() {
        let (mut rtc, ..) = rtc();
        assert_eq!(rtc.read(Access { offset: DR, width: Width::B1, by: 0 }), Err(Refused::Width));
        assert_eq!(rtc.read(Access { offset: 2, width: Width::B4, by: 0 }), Err(Refused::Alignment));
        assert_eq!(rtc.write(Access { offset: DR, width: Width::B4, by: 0 }, 1), Err(Refused::ReadOnly));
        assert_eq!(read(&mut rtc, PERIPH_ID), 0x31);
    }
}
