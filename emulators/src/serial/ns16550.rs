//! The 16550 UART (National Semiconductor PC16550D, June 1995), without its modem's lines: the far end is always ready.
//!
//! There is no line that would take time: a byte is sent as soon as the far end has room for it. The character timeout,
//! four character times without a new byte, is taken for passed at once. Divisor and format are kept and mean nothing.
//! `reg-shift` and `reg-offset` of the node say where registers are.

use arch::Width;
use atomic::Arc;
use host_sync::Spin;
use isa_uart::{self as uart, DEPTH, Spacing, fcr, ier, iir, lcr, lsr, mcr, msr};
use vm_bus::{Access, Device, Refused, Work};
use vm_machine::{Model, NotWired, Wires};

use super::fifo::Fifo;
use super::port::{Port, Sent};

pub(crate) const MODEL: Model =
    Model { name: "ns16550", compatible: &["ns16550a", "ns16550", "ns8250"], build };

/// Registers farther apart than this are a mistake in the tree.
const MOST_SHIFT: u64 = 4;

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let offset = wires.number("reg-offset")?.unwrap_or(0);
    let shift = wires.number("reg-shift")?.unwrap_or(0);
    let Some(shift) = u32::try_from(shift).ok().filter(|_| shift <= MOST_SHIFT) else {
        return Err(wires.error(Some("reg-shift"), alloc::format!("{shift} is more than {MOST_SHIFT}")));
    };
    let length = wires.reg(0)?.length();
    let spacing = Spacing { offset: offset.min(length), shift };
    if length < spacing.size() || offset > length {
        let text =
            alloc::format!("the registers take {:#x} bytes, and there are {length:#x}", spacing.size());
        return Err(wires.error(Some("reg"), text));
    }
    let port = Port::wired(wires)?;
    wires.map(0, Arc::new(Spin::<_>::new(Ns16550::new(spacing, port))))
}

struct Ns16550 {
    spacing: Spacing,
    port: Port<DEPTH>,
    // What the guest set.
    divisor: [u8; 2],
    ier: u8,
    fcr: u8,
    lcr: u8,
    mcr: u8,
    scratch: u8,
    // What follows.
    /// The transmitter became empty, and nobody was told yet.
    emptied: bool,
    overrun: bool,
    /// MSR, but for the lower four bits what the lines are.
    msr: u8,
}

/// The lines of a modem that is there and ready.
const MODEM: u8 = msr::CTS | msr::DSR | msr::DCD;

impl Ns16550 {
    fn new(spacing: Spacing, port: Port<DEPTH>) -> Self {
        Self {
            spacing,
            port,
            divisor: [0; 2],
            ier: 0,
            fcr: 0,
            lcr: 0,
            mcr: 0,
            scratch: 0,
            emptied: false,
            overrun: false,
            msr: MODEM,
        }
    }

    /// Bytes that a FIFO holds.
    fn depth(&self) -> usize {
        if self.fcr & fcr::ENABLE != 0 { DEPTH } else { 1 }
    }

    /// At how many received bytes there is an interrupt.
    fn trigger(&self) -> usize {
        if self.fcr & fcr::ENABLE == 0 {
            return 1;
        }
        fcr::TRIGGERS.get(usize::from(self.fcr >> 6)).copied().unwrap_or(1)
    }

    fn line_status(&self) -> u8 {
        let mut status = 0;
        if !self.port.receive.is_empty() {
            status |= lsr::READY;
        }
        if self.overrun {
            status |= lsr::OVERRUN;
        }
        if self.port.transmit.is_empty() {
            status |= lsr::EMPTY | lsr::IDLE;
        }
        status
    }

    /// The most urgent interrupt that is enabled (Table III).
    fn interrupt(&self) -> u8 {
        let on = |bit| self.ier & bit != 0;
        let waiting = self.port.receive.len();
        if on(ier::LINE) && self.overrun {
            iir::LINE
        } else if on(ier::RECEIVED) && waiting >= self.trigger() {
            iir::RECEIVED
        } else if on(ier::RECEIVED) && waiting > 0 {
            iir::TIMEOUT
        } else if on(ier::EMPTY) && self.emptied {
            iir::EMPTY
        } else if on(ier::MODEM) && self.msr & msr::CHANGED != 0 {
            iir::MODEM
        } else {
            iir::NONE
        }
    }

    /// The one place that derives the line's level from the state.
    fn settle(&mut self) {
        let level = self.interrupt() != iir::NONE;
        self.port.settle(level);
    }

    fn send(&mut self, byte: u8) {
        self.emptied = false;
        if self.mcr & mcr::LOOP != 0 {
            self.receive_byte(byte);
            self.emptied = true;
        } else {
            self.emptied = self.port.send(byte, self.depth()) == Sent::Gone;
        }
    }

    /// Sends what waits, as far as the far end has room.
    fn drain(&mut self) {
        self.emptied |= self.port.drain() && self.port.transmit.is_empty();
    }

    fn receive_byte(&mut self, byte: u8) {
        if self.port.receive.len() < self.depth() {
            self.port.receive.push(byte);
        } else {
            self.overrun = true;
            // Without FIFOs it takes the place of the one that was there (8.6.3: "destroying the previous character").
            if self.fcr & fcr::ENABLE == 0 {
                self.port.receive = Fifo::new();
                self.port.receive.push(byte);
            }
        }
    }

    /// Takes what was typed, as far as there is room.
    fn fill(&mut self) {
        if self.mcr & mcr::LOOP == 0 {
            self.port.fill(self.depth());
        }
    }

    fn set_fcr(&mut self, value: u8) {
        let toggled = (self.fcr ^ value) & fcr::ENABLE != 0;
        // Without the enabling bit the others are not written (8.4).
        self.fcr =
            if value & fcr::ENABLE == 0 { 0 } else { value & !(fcr::CLEAR_RECEIVE | fcr::CLEAR_TRANSMIT) };
        if toggled || value & fcr::CLEAR_RECEIVE != 0 {
            self.port.receive = Fifo::new();
        }
        if toggled || value & fcr::CLEAR_TRANSMIT != 0 {
            self.port.transmit = Fifo::new();
            self.emptied = true;
        }
        self.fill();
    }

    fn set_mcr(&mut self, value: u8) {
        self.mcr = value & 0x1f;
        // In loopback the outputs are the inputs: DTR to DSR, RTS to CTS, OUT1 to RI, OUT2 to DCD.
        let looped = |output, input| if self.mcr & output != 0 { input } else { 0 };
        let lines = if self.mcr & mcr::LOOP == 0 {
            MODEM
        } else {
            looped(mcr::DTR, msr::DSR)
                | looped(mcr::RTS, msr::CTS)
                | looped(mcr::OUT1, msr::RI)
                | looped(mcr::OUT2, msr::DCD)
        };
        let before = self.msr;
        // Ring is told when it ends, the others whenever they change. Bits 7:4 and 3:0 are DCD, RI, DSR, CTS.
        let changed = (before ^ lines) & !msr::RI | before & !lines & msr::RI;
        self.msr = lines | before & msr::CHANGED | changed >> 4;
        self.fill();
    }

    #[inline(never)]
    fn read_other(&mut self, register: u64) -> u8 {
        let divisor = self.lcr & lcr::DLAB != 0;
        let [low, high] = self.divisor;
        match register {
            uart::DATA if divisor => low,
            uart::IER if divisor => high,
            uart::DATA => {
                let byte = self.port.receive.pop().unwrap_or(0);
                self.fill();
                byte
            }
            uart::IER => self.ier,
            uart::IIR => {
                let interrupt = self.interrupt();
                if interrupt == iir::EMPTY {
                    self.emptied = false;
                }
                interrupt | if self.fcr & fcr::ENABLE != 0 { iir::FIFOS } else { 0 }
            }
            uart::LCR => self.lcr,
            uart::MCR => self.mcr,
            uart::MSR => {
                let value = self.msr;
                self.msr &= !msr::CHANGED;
                value
            }
            _ => self.scratch,
        }
    }

    #[inline(never)]
    fn write_other(&mut self, register: u64, value: u8) {
        let divisor = self.lcr & lcr::DLAB != 0;
        let [low, high] = &mut self.divisor;
        match register {
            uart::DATA if divisor => *low = value,
            uart::IER if divisor => *high = value,
            uart::DATA => self.send(value),
            uart::IER => {
                // Enabled while there is nothing to send, it comes at once.
                if value & !self.ier & ier::EMPTY != 0 && self.port.transmit.is_empty() {
                    self.emptied = true;
                }
                self.ier = value & ier::ALL;
            }
            uart::FCR => self.set_fcr(value),
            uart::LCR => self.lcr = value,
            uart::MCR => self.set_mcr(value),
            uart::SCR => self.scratch = value,
            // LSR and MSR are written in factory tests only.
            _ => {}
        }
    }

    /// The register of an access: a byte, or as wide as registers are apart.
    #[inline]
    fn reach(&self, access: Access) -> Result<u64, Refused> {
        if access.width != Width::B1 && access.width.bytes() > 1 << self.spacing.shift {
            return Err(Refused::Width);
        }
        self.spacing.number(access.offset).ok_or(Refused::Nothing)
    }
}

impl Device for Ns16550 {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        let value = match self.reach(access)? {
            // First, since guests poll it.
            uart::LSR => {
                let value = self.line_status();
                if !self.overrun {
                    return Ok(value.into());
                }
                self.overrun = false;
                value
            }
            register => self.read_other(register),
        };
        self.settle();
        Ok(value.into())
    }

    fn write(&mut self, access: Access, value: u64) -> Result<(), Refused> {
        let register = self.reach(access)?;
        let [low, ..] = value.to_le_bytes();
        self.write_other(register, low);
        self.settle();
        Ok(())
    }

    fn poll(&mut self) -> Work {
        self.drain();
        self.fill();
        self.settle();
        Work::Done
    }

    fn reset(&mut self) {
        *self = Self::new(self.spacing, self.port.renewed());
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        self.port.inspect(tree);
        tree.hex("IER", self.ier);
        tree.hex("FCR", self.fcr);
        tree.hex("LCR", self.lcr);
        tree.hex("MCR", self.mcr);
        tree.hex("LSR", self.line_status());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use vio::irq::fake::Pins;
    use vio::serial::Serial;

    fn uart() -> (Ns16550, Arc<Serial>, Arc<Pins>) {
        let (pins, serial) = (Pins::new(1), Serial::new("test/ns16550"));
        (Ns16550::new(Spacing::default(), Port::new(pins.line(0), serial.clone())), serial, pins)
    }
    fn read(device: &mut Ns16550, offset: u64) -> u8 {
        device.read(Access { offset, width: Width::B1, by: 0 }).unwrap() as u8
    }
    fn write(device: &mut Ns16550, offset: u64, value: u8) {
        device.write(Access { offset, width: Width::B1, by: 0 }, value.into()).unwrap();
    }

    #[test]
    fn what_is_written_arrives() {
        let (mut device, serial, _) = uart();
        for byte in b"hello" {
            assert_ne!(read(&mut device, uart::LSR) & lsr::EMPTY, 0);
            write(&mut device, uart::DATA, *byte);
        }
        assert_eq!(serial.history(16), b"hello");
    }

    #[test]
    fn an_empty_transmitter_interrupts_until_it_was_told() {
        let (mut device, _, pins) = uart();
        write(&mut device, uart::IER, ier::EMPTY);
        assert!(pins.level(0), "there is nothing to send from the beginning");
        assert_eq!(read(&mut device, uart::IIR), iir::EMPTY);
        assert!(!pins.level(0));
        assert_eq!(read(&mut device, uart::IIR), iir::NONE);
        write(&mut device, uart::DATA, b'x');
        assert!(pins.level(0));
    }

    #[test]
    fn typed_bytes_interrupt_until_they_are_read() {
        let (mut device, serial, pins) = uart();
        write(&mut device, uart::FCR, fcr::ENABLE | 1 << 6);
        write(&mut device, uart::IER, ier::RECEIVED);
        assert_eq!(serial.write(b"abcde"), 5);
        device.poll();
        assert!(pins.level(0));
        assert_eq!(read(&mut device, uart::IIR), iir::RECEIVED | iir::FIFOS);
        assert_eq!(read(&mut device, uart::DATA), b'a');
        assert_eq!(read(&mut device, uart::DATA), b'b');
        assert_eq!(read(&mut device, uart::IIR), iir::TIMEOUT | iir::FIFOS, "fewer than the trigger");
        let rest: Vec<u8> = (0..3).map(|_| read(&mut device, uart::DATA)).collect();
        assert_eq!(rest, b"cde");
        assert!(!pins.level(0));
        assert_eq!(read(&mut device, uart::LSR) & lsr::READY, 0);
    }

    #[test]
    fn a_full_fifo_is_refilled_from_what_waits() {
        let (mut device, serial, _) = uart();
        write(&mut device, uart::FCR, fcr::ENABLE);
        let text: Vec<u8> = (0..100).collect();
        assert_eq!(serial.write(&text), 100);
        device.poll();
        let got: Vec<u8> = (0..100).map(|_| read(&mut device, uart::DATA)).collect();
        assert_eq!(got, text);
        assert_eq!(read(&mut device, uart::LSR) & (lsr::READY | lsr::OVERRUN), 0);
    }

    #[test]
    fn loopback_returns_bytes_and_modem_lines_and_overruns() {
        let (mut device, serial, pins) = uart();
        write(&mut device, uart::MCR, mcr::LOOP | mcr::DTR | mcr::OUT2);
        assert_eq!(read(&mut device, uart::MSR), msr::DSR | msr::DCD | 1, "CTS went, the others stay");
        assert_eq!(read(&mut device, uart::MSR), msr::DSR | msr::DCD);
        write(&mut device, uart::IER, ier::LINE);
        write(&mut device, uart::DATA, 0x55);
        write(&mut device, uart::DATA, 0xaa);
        assert!(pins.level(0), "without FIFOs the first one is lost");
        assert_eq!(read(&mut device, uart::LSR) & lsr::OVERRUN, lsr::OVERRUN);
        assert!(!pins.level(0));
        assert_eq!(read(&mut device, uart::DATA), 0xaa);
        write(&mut device, uart::FCR, fcr::ENABLE);
        for byte in 0..=DEPTH as u8 {
            write(&mut device, uart::DATA, byte);
        }
        assert_eq!(read(&mut device, uart::LSR) & lsr::OVERRUN, lsr::OVERRUN);
        let kept: Vec<u8> = (0..DEPTH).map(|_| read(&mut device, uart::DATA)).collect();
        assert!((0..).zip(&kept).all(|(number, byte)| *byte == number), "with them, the last one: {kept:?}");
        assert!(serial.history(16).is_empty());
    }

    #[test]
    fn the_divisor_hides_two_registers() {
        let (mut device, serial, _) = uart();
        write(&mut device, uart::LCR, lcr::DLAB | lcr::BITS_8);
        write(&mut device, uart::DATA, 0x12);
        write(&mut device, uart::IER, 0x34);
        assert_eq!([read(&mut device, uart::DATA), read(&mut device, uart::IER)], [0x12, 0x34]);
        write(&mut device, uart::LCR, lcr::BITS_8);
        assert_eq!(read(&mut device, uart::IER), 0);
        assert!(serial.history(16).is_empty());
    }

    #[test]
    fn registers_lie_as_the_node_says_and_are_no_wider() {
        let (pins, serial) = (Pins::new(1), Serial::new("test/spaced"));
        let mut device = Ns16550::new(Spacing { offset: 0x10, shift: 2 }, Port::new(pins.line(0), serial));
        let at = |offset, width| Access { offset, width, by: 0 };
        assert_eq!(device.read(at(0x10 + 5 * 4, Width::B4)), Ok((lsr::EMPTY | lsr::IDLE).into()));
        assert_eq!(device.read(at(0x10 + 5 * 4, Width::B8)), Err(Refused::Width));
        assert_eq!(device.read(at(0x11, Width::B1)), Err(Refused::Nothing));
        assert_eq!(device.read(at(0, Width::B4)), Err(Refused::Nothing));
        let (mut packed, ..) = uart();
        assert_eq!(packed.read(at(0, Width::B4)), Err(Refused::Width));
    }

    #[test]
    fn what_the_far_end_has_no_room_for_waits_in_the_fifo() {
        let (mut device, serial, pins) = uart();
        write(&mut device, uart::FCR, fcr::ENABLE);
        let reader = serial.reader(Arc::new(|_: vio::Urgency| {}));
        for _ in 0..vio::serial::HISTORY + DEPTH {
            write(&mut device, uart::DATA, b'.');
        }
        assert_eq!(read(&mut device, uart::LSR) & lsr::EMPTY, 0);
        write(&mut device, uart::IER, ier::EMPTY);
        assert!(!pins.level(0));
        drop(reader);
        device.poll();
        assert_eq!(read(&mut device, uart::LSR) & lsr::IDLE, lsr::IDLE);
        assert!(pins.level(0));
    }
}
