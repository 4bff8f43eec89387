//! The Goldfish real-time clock (see `isa/goldfish`): nanoseconds since 1970, and one alarm.
//!
//! It shows the host's time of day, moved by what the guest sets; the time since power-on where the host does not know
//! the time.

use atomic::Arc;
use host_sync::Spin;
use isa_goldfish::{
    ALARM_HIGH, ALARM_LOW, ALARM_STATUS, CLEAR_ALARM, CLEAR_INTERRUPT, IRQ_ENABLED, TIME_HIGH, TIME_LOW,
};
use vio::irq::IrqLine;
use vm_bus::{Access, Device, Refused, Work};
use vm_machine::{Model, NotWired, Wires};

use super::alarm::Alarm;
use super::host_time;

pub(crate) const MODEL: Model = Model { name: "goldfish-rtc", compatible: &["google,goldfish-rtc"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let irq = wires.irq(0)?;
    let due = Alarm::new(wires);
    wires.map(0, Arc::new(Spin::<_>::new(Goldfish::new(irq, due))))
}

struct Goldfish {
    // Wires.
    irq: IrqLine,
    /// For when the guest's alarm is due.
    due: Alarm,
    // What the guest set.
    time_high: u32,
    alarm: u64,
    alarm_high: u32,
    enabled: bool,
    // What follows.
    /// What is added to the host's time.
    offset: u64,
    /// The high half of the time when the low half was read.
    read_high: u32,
    pending: bool,
}

fn join(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn halves(value: u64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    (u32::from_le_bytes([e, f, g, h]), u32::from_le_bytes([a, b, c, d]))
}

impl Goldfish {
    fn new(irq: IrqLine, due: Alarm) -> Self {
        Self {
            irq,
            due,
            time_high: 0,
            alarm: 0,
            alarm_high: 0,
            enabled: false,
            offset: 0,
            read_high: 0,
            pending: false,
        }
    }

    fn now(&self) -> u64 {
        host_time().wrapping_add(self.offset)
    }

    /// Arms the alarm; one that lies in the past rings at once.
    fn arm(&mut self) {
        let now = self.now();
        if self.alarm <= now {
            self.due.cancel();
            self.pending = true;
        } else {
            self.due.set(self.alarm - now);
        }
    }

    /// The one place that derives the line's level from the state.
    fn settle(&self) {
        self.irq.set(self.pending && self.enabled);
    }
}

impl Device for Goldfish {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        let value = match access.word()? {
            TIME_LOW => {
                let (high, low) = halves(self.now());
                self.read_high = high;
                low
            }
            TIME_HIGH => self.read_high,
            ALARM_LOW => halves(self.alarm).1,
            ALARM_HIGH => halves(self.alarm).0,
            IRQ_ENABLED => self.enabled.into(),
            ALARM_STATUS => self.due.due().is_some().into(),
            CLEAR_ALARM | CLEAR_INTERRUPT => return Err(Refused::WriteOnly),
            _ => return Err(Refused::Nothing),
        };
        Ok(value.into())
    }

    fn write(&mut self, access: Access, value: u64) -> Result<(), Refused> {
        let (_, value) = halves(value);
        match access.word()? {
            TIME_HIGH => self.time_high = value,
            TIME_LOW => {
                self.offset = join(self.time_high, value).wrapping_sub(host_time());
                if self.due.due().is_some() {
                    self.arm();
                }
            }
            ALARM_HIGH => self.alarm_high = value,
            ALARM_LOW => {
                self.alarm = join(self.alarm_high, value);
                self.arm();
            }
            IRQ_ENABLED => self.enabled = value & 1 != 0,
            CLEAR_ALARM => self.due.cancel(),
            CLEAR_INTERRUPT => self.pending = false,
            ALARM_STATUS => return Err(Refused::ReadOnly),
            _ => return Err(Refused::Nothing),
        }
        self.settle();
        Ok(())
    }

    fn poll(&mut self) -> Work {
        if self.due.take() {
            self.pending = true;
            self.settle();
        }
        Work::Done
    }

    fn reset(&mut self) {
        self.due.cancel();
        (self.time_high, self.alarm, self.alarm_high, self.enabled) = (0, 0, 0, false);
        (self.offset, self.read_high, self.pending) = (0, 0, false);
        self.settle();
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        tree.field("nanoseconds", self.now());
        tree.field("alarm", self.alarm);
        tree.field("alarm is due", format_args!("{:?}", self.due.due()));
        tree.field("interrupt", self.pending && self.enabled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arch::{Nanos, Width};
    use arch_hosted::time::advance;
    use vio::irq::fake::Pins;

    fn rtc() -> (Goldfish, Arc<Pins>) {
        use arch::Cpu;
        arch::Machine::on_interrupt(host_thread::simple_entry);
        let _ = host_thread::start();
        let pins = Pins::new(1);
        (Goldfish::new(pins.line(0), Alarm::calling(|| {})), pins)
    }
    fn read(rtc: &mut Goldfish, offset: u64) -> u64 {
        rtc.read(Access { offset, width: Width::B4, by: 0 }).unwrap()
    }
    fn write(rtc: &mut Goldfish, offset: u64, value: u64) {
        rtc.write(Access { offset, width: Width::B4, by: 0 }, value).unwrap();
    }
    fn time(rtc: &mut Goldfish) -> u64 {
        let low = read(rtc, TIME_LOW);
        read(rtc, TIME_HIGH) << 32 | low
    }

    #[test]
    fn it_counts_from_what_was_set_and_halves_belong_together() {
        let (mut rtc, _) = rtc();
        write(&mut rtc, TIME_HIGH, 4);
        write(&mut rtc, TIME_LOW, 0xffff_fff0);
        assert_eq!(time(&mut rtc), 0x4_ffff_fff0);
        let low = read(&mut rtc, TIME_LOW);
        advance(Nanos(0x20));
        assert_eq!((read(&mut rtc, TIME_HIGH), low), (4, 0xffff_fff0), "the carry came in between");
        assert_eq!(time(&mut rtc), 0x5_0000_0010);
    }

    #[test]
    fn an_alarm_interrupts_when_its_time_has_come_until_it_is_cleared() {
        let (mut rtc, pins) = rtc();
        let due = time(&mut rtc) + 1_000_000;
        write(&mut rtc, IRQ_ENABLED, 1);
        write(&mut rtc, ALARM_HIGH, due >> 32);
        write(&mut rtc, ALARM_LOW, due & 0xffff_ffff);
        assert_eq!(read(&mut rtc, ALARM_STATUS), 1);
        advance(Nanos(999_999));
        rtc.poll();
        assert!(!pins.level(0));
        advance(Nanos(1));
        rtc.poll();
        assert!(pins.level(0));
        assert_eq!(read(&mut rtc, ALARM_STATUS), 0);
        write(&mut rtc, CLEAR_INTERRUPT, 1);
        assert!(!pins.level(0));
    }

    #[test]
    fn an_alarm_in_the_past_rings_at_once_and_one_that_was_cleared_never() {
        let (mut rtc, pins) = rtc();
        advance(Nanos(10));
        write(&mut rtc, IRQ_ENABLED, 1);
        write(&mut rtc, ALARM_LOW, 1);
        assert!(pins.level(0));
        write(&mut rtc, CLEAR_INTERRUPT, 1);
        write(&mut rtc, ALARM_HIGH, 1);
        write(&mut rtc, ALARM_LOW, 0);
        write(&mut rtc, CLEAR_ALARM, 1);
        advance(Nanos(u64::from(u32::MAX) * 4));
        rtc.poll();
        assert!(!pins.level(0));
    }

    #[test]
    fn registers_are_words() {
        let (mut rtc, _) = rtc();
        assert_eq!(rtc.read(Access { offset: 0, width: Width::B8, by: 0 }), Err(Refused::Width));
        assert_eq!(rtc.read(Access { offset: 2, width: Width::B4, by: 0 }), Err(Refused::Alignment));
        assert_eq!(rtc.read(Access { offset: 0x20, width: Width::B4, by: 0 }), Err(Refused::Nothing));
    }
}
