//! PrimeCell UART PL011, r1p5 (ARM DDI 0183).
//!
//! There is no line that would take time: a byte is sent as soon as the far end has room for it, and what
//! waits in the transmit FIFO waits for that. The receive timeout, 32 bit periods without a new byte, is
//! taken for passed at once. Baud rates, parity and DMA settings are kept and mean nothing.

use host_sync::Spin;

use arch::Width;
use atomic::Arc;
use vm_bus::{Access, Device, Refused, Work};
use vm_machine::{Model, NotWired, Wires};

use super::fifo::Fifo;
use super::port::{Port, Sent};

pub(crate) const MODEL: Model = Model { name: "pl011", compatible: &["arm,pl011", "arm,sbsa-uart"], build };

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let port = Port::wired(wires)?;
    wires.map(0, Arc::new(Spin::<_>::new(Pl011::new(port))))
}

// Registers (3.2).
const DR: u64 = 0x000;
const RSR: u64 = 0x004;
const FR: u64 = 0x018;
const ILPR: u64 = 0x020;
const IBRD: u64 = 0x024;
const FBRD: u64 = 0x028;
const LCR_H: u64 = 0x02c;
const CR: u64 = 0x030;
const IFLS: u64 = 0x034;
const IMSC: u64 = 0x038;
const RIS: u64 = 0x03c;
const MIS: u64 = 0x040;
const ICR: u64 = 0x044;
const DMACR: u64 = 0x048;
/// The test registers TCR, ITIP, ITOP and TDR (4.4): nothing is integrated here that could be tested.
const TCR: u64 = 0x080;
const TDR: u64 = 0x08c;
const PERIPH_ID: u64 = 0xfe0;
const LAST: u64 = 0xffc;

/// UARTPeriphID0 to 3 and UARTPCellID0 to 3 (3.3.15 on): part 0x011 of Arm, revision r1p5.
const ID: [u8; 8] = [0x11, 0x10, 0x34, 0x00, 0x0d, 0xf0, 0x05, 0xb1];

/// FR (3.3.3): the modem's lines are up, so that flow control by hardware never stops the guest.
const FR_MODEM: u32 = 0b111;
const FR_BUSY: u32 = 1 << 3;
const FR_RXFE: u32 = 1 << 4;
const FR_TXFF: u32 = 1 << 5;
const FR_RXFF: u32 = 1 << 6;
const FR_TXFE: u32 = 1 << 7;

/// LCR_H.FEN: the FIFOs are used (3.3.7).
const FEN: u32 = 1 << 4;
/// CR.LBE: what is sent is received (3.3.8).
const LBE: u32 = 1 << 7;
/// CR after reset: transmission and reception are enabled, the UART is not.
const CR_RESET: u32 = 0x300;
/// IFLS after reset: both FIFOs at one half.
const IFLS_RESET: u32 = 0x12;

/// Interrupts, as they stand in IMSC, RIS, MIS and ICR (3.3.10 on).
const RXI: u32 = 1 << 4;
const TXI: u32 = 1 << 5;
const RTI: u32 = 1 << 6;
const OEI: u32 = 1 << 10;
const ALL: u32 = 0x7ff;

/// DR and RSR: the receive FIFO was full and a byte was lost.
const RSR_OE: u32 = 1 << 3;

/// Bytes that each FIFO holds; one when they are not used.
const DEPTH: usize = 32;

struct Pl011 {
    port: Port<DEPTH>,
    // What the guest set.
    ilpr: u32,
    ibrd: u32,
    fbrd: u32,
    lcr_h: u32,
    cr: u32,
    ifls: u32,
    imsc: u32,
    dmacr: u32,
    // What follows.
    /// RIS bits that are events: set when something happened, cleared through ICR.
    events: u32,
    /// The guest cleared the receive interrupts since the last byte came.
    receive_seen: bool,
    overrun: bool,
}

impl Pl011 {
    fn new(port: Port<DEPTH>) -> Self {
        Self {
            port,
            ilpr: 0,
            ibrd: 0,
            fbrd: 0,
            lcr_h: 0,
            cr: CR_RESET,
            ifls: IFLS_RESET,
            imsc: 0,
            dmacr: 0,
            events: 0,
            receive_seen: false,
            overrun: false,
        }
    }

    /// Bytes that a FIFO holds.
    fn depth(&self) -> usize {
        if self.lcr_h & FEN != 0 { DEPTH } else { 1 }
    }

    /// At how many received bytes there is an interrupt.
    fn receive_trigger(&self) -> usize {
        if self.lcr_h & FEN == 0 { 1 } else { trigger(self.ifls >> 3) }
    }

    /// Down to how many bytes to send there is one.
    fn transmit_trigger(&self) -> usize {
        if self.lcr_h & FEN == 0 { 0 } else { trigger(self.ifls) }
    }

    fn flags(&self) -> u32 {
        if self.port.transmit.is_empty() && self.port.receive.is_empty() {
            return FR_MODEM | FR_TXFE | FR_RXFE;
        }
        let depth = self.depth();
        let mut flags = FR_MODEM;
        flags |= match self.port.transmit.len() {
            0 => FR_TXFE,
            waiting if waiting >= depth => FR_TXFF | FR_BUSY,
            _ => FR_BUSY,
        };
        flags |= match self.port.receive.len() {
            0 => FR_RXFE,
            waiting if waiting >= depth => FR_RXFF,
            _ => 0,
        };
        flags
    }

    /// The interrupts before the mask.
    fn raw(&self) -> u32 {
        let mut raw = self.events;
        if !self.receive_seen && !self.port.receive.is_empty() {
            raw |= RTI;
            if self.port.receive.len() >= self.receive_trigger() {
                raw |= RXI;
            }
        }
        raw
    }

    /// The one place that derives the line's level from the state.
    fn settle(&mut self) {
        let level = self.raw() & self.imsc != 0;
        self.port.settle(level);
    }

    fn send(&mut self, byte: u8) {
        if self.cr & LBE != 0 {
            self.receive_byte(byte);
            self.events |= TXI;
            return;
        }
        match self.port.send(byte, self.depth()) {
            Sent::Gone => self.events |= TXI,
            // Filled above its trigger level, the FIFO takes its interrupt back.
            Sent::Waits if self.port.transmit.len() > self.transmit_trigger() => self.events &= !TXI,
            // TXFF said that there was no room.
            Sent::Waits | Sent::Lost => {}
        }
    }

    /// Sends what waits, as far as the far end has room.
    fn drain(&mut self) {
        if self.port.drain() && self.port.transmit.len() <= self.transmit_trigger() {
            self.events |= TXI;
        }
    }

    fn receive_byte(&mut self, byte: u8) {
        if self.port.receive.len() < self.depth() {
            self.port.receive.push(byte);
            self.receive_seen = false;
        } else {
            self.overrun = true;
            self.events |= OEI;
        }
    }

    /// Takes what was typed, as far as there is room.
    fn fill(&mut self) {
        if self.port.fill(self.depth()) {
            self.receive_seen = false;
        }
    }

    fn take(&mut self) -> u32 {
        let byte = self.port.receive.pop().unwrap_or(0);
        let overrun = if core::mem::take(&mut self.overrun) { RSR_OE << 8 } else { 0 };
        self.fill();
        u32::from(byte) | overrun
    }

    #[inline(never)]
    fn read_other(&mut self, offset: u64) -> Result<u32, Refused> {
        Ok(match offset {
            DR => {
                let value = self.take();
                self.settle();
                value
            }
            RSR => u32::from(self.overrun) * RSR_OE,
            ILPR => self.ilpr,
            IBRD => self.ibrd,
            FBRD => self.fbrd,
            LCR_H => self.lcr_h,
            CR => self.cr,
            IFLS => self.ifls,
            IMSC => self.imsc,
            RIS => self.raw(),
            MIS => self.raw() & self.imsc,
            DMACR => self.dmacr,
            ICR => return Err(Refused::WriteOnly),
            TCR..=TDR => 0,
            offset @ PERIPH_ID..=LAST => crate::id::byte(&ID, offset - PERIPH_ID),
            _ => return Err(Refused::Nothing),
        })
    }

    #[inline(never)]
    fn write_other(&mut self, offset: u64, value: u32) -> Result<(), Refused> {
        match offset {
            RSR => self.overrun = false,
            ILPR => self.ilpr = value & 0xff,
            IBRD => self.ibrd = value,
            FBRD => self.fbrd = value & 0x3f,
            LCR_H => {
                // Switching the FIFOs on or off empties them.
                if (self.lcr_h ^ value) & FEN != 0 {
                    self.port.transmit = Fifo::new();
                    self.port.receive = Fifo::new();
                    self.fill();
                }
                self.lcr_h = value & 0xff;
            }
            CR => self.cr = value & 0xff87,
            IFLS => self.ifls = value & 0x3f,
            IMSC => self.imsc = value & ALL,
            ICR => {
                self.events &= !value;
                if value & (RXI | RTI) != 0 {
                    self.receive_seen = true;
                }
            }
            DMACR => self.dmacr = value & 7,
            TCR..=TDR => {}
            FR | RIS | MIS | PERIPH_ID..=LAST => return Err(Refused::ReadOnly),
            _ => return Err(Refused::Nothing),
        }
        Ok(())
    }
}

/// The level that RXIFLSEL or TXIFLSEL means (3.3.9).
fn trigger(field: u32) -> usize {
    match field & 7 {
        0 => DEPTH / 8,
        1 => DEPTH / 4,
        2 => DEPTH / 2,
        3 => DEPTH * 3 / 4,
        // What is above is reserved.
        _ => DEPTH * 7 / 8,
    }
}

/// Registers are 32 bits wide, with nothing above bit 15 in most: narrower accesses to their beginning are
/// what drivers of the APB use too.
fn check(access: Access) -> Result<u64, Refused> {
    if !access.offset.is_multiple_of(4) {
        return Err(Refused::Alignment);
    }
    if access.width == Width::B8 { Err(Refused::Width) } else { Ok(access.offset) }
}

impl Device for Pl011 {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        let value = match check(access)? {
            // First, since guests poll it.
            FR => self.flags(),
            offset => self.read_other(offset)?,
        };
        Ok(value.into())
    }

    fn write(&mut self, access: Access, value: u64) -> Result<(), Refused> {
        let [low, ..] = value.to_le_bytes();
        match check(access)? {
            // First, since that is what it is all for.
            DR => self.send(low),
            offset => self.write_other(offset, (value & 0xffff) as u32)?,
        }
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
        *self = Self::new(self.port.renewed());
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        self.port.inspect(tree);
        tree.hex("CR", self.cr);
        tree.hex("LCR_H", self.lcr_h);
        tree.hex("IMSC", self.imsc);
        tree.hex("RIS", self.raw());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use vio::irq::fake::Pins;
    use vio::serial::Serial;

    fn uart() -> (Pl011, Arc<Serial>, Arc<Pins>) {
        let (pins, serial) = (Pins::new(1), Serial::new("test/pl011"));
        (Pl011::new(Port::new(pins.line(0), serial.clone())), serial, pins)
    }
    fn read(uart: &mut Pl011, offset: u64) -> u32 {
        uart.read(Access { offset, width: Width::B4, by: 0 }).unwrap() as u32
    }
    fn write(uart: &mut Pl011, offset: u64, value: u32) {
        uart.write(Access { offset, width: Width::B4, by: 0 }, value.into()).unwrap();
    }
    fn type_in(uart: &mut Pl011, serial: &Serial, bytes: &[u8]) {
        assert_eq!(serial.write(bytes), bytes.len());
        uart.poll();
    }

    #[test]
    fn what_is_written_to_the_data_register_arrives() {
        let (mut uart, serial, _) = uart();
        for byte in b"hello" {
            assert_eq!(read(&mut uart, FR) & FR_TXFF, 0);
            write(&mut uart, DR, u32::from(*byte));
        }
        assert_eq!(serial.history(16), b"hello");
        assert_eq!(read(&mut uart, FR), FR_MODEM | FR_TXFE | FR_RXFE);
    }

    #[test]
    fn a_sent_byte_interrupts_until_it_is_cleared() {
        let (mut uart, _, pins) = uart();
        write(&mut uart, IMSC, TXI);
        assert!(!pins.level(0));
        write(&mut uart, DR, 0x41);
        assert!(pins.level(0));
        assert_eq!(read(&mut uart, MIS), TXI);
        write(&mut uart, ICR, TXI);
        assert!(!pins.level(0));
    }

    #[test]
    fn typed_bytes_interrupt_until_they_are_read() {
        let (mut uart, serial, pins) = uart();
        write(&mut uart, LCR_H, FEN);
        write(&mut uart, IMSC, RXI | RTI);
        type_in(&mut uart, &serial, b"ab");
        assert!(pins.level(0));
        assert_eq!(read(&mut uart, RIS), RTI);
        assert_eq!(read(&mut uart, DR), b'a'.into());
        assert!(pins.level(0));
        assert_eq!(read(&mut uart, DR), b'b'.into());
        assert!(!pins.level(0));
        assert_ne!(read(&mut uart, FR) & FR_RXFE, 0);
    }

    #[test]
    fn a_full_fifo_interrupts_at_its_trigger_and_is_refilled_from_what_waits() {
        let (mut uart, serial, _) = uart();
        write(&mut uart, LCR_H, FEN);
        let text: Vec<u8> = (0..100).collect();
        type_in(&mut uart, &serial, &text[..15]);
        assert_eq!(read(&mut uart, RIS) & RXI, 0);
        type_in(&mut uart, &serial, &text[15..]);
        assert_eq!(read(&mut uart, RIS) & RXI, RXI);
        assert_ne!(read(&mut uart, FR) & FR_RXFF, 0);
        let got: Vec<u8> = (0..100).map(|_| read(&mut uart, DR) as u8).collect();
        assert_eq!(got, text);
        assert_eq!(read(&mut uart, RIS) & (RXI | RTI), 0);
    }

    #[test]
    fn cleared_receive_interrupts_come_back_with_the_next_byte() {
        let (mut uart, serial, pins) = uart();
        write(&mut uart, LCR_H, FEN);
        write(&mut uart, IMSC, RXI | RTI);
        type_in(&mut uart, &serial, b"a");
        write(&mut uart, ICR, RXI | RTI);
        assert!(!pins.level(0));
        type_in(&mut uart, &serial, b"b");
        assert!(pins.level(0));
    }

    #[test]
    fn a_far_end_without_room_holds_the_guest_up_and_lets_it_go_on() {
        let (mut uart, serial, pins) = uart();
        let mut reader = serial.reader(Arc::new(|_: vio::Urgency| {}));
        while serial.put(b'.') {}
        write(&mut uart, LCR_H, FEN);
        write(&mut uart, IMSC, TXI);
        for n in 0..DEPTH as u32 {
            assert_eq!(read(&mut uart, FR) & FR_TXFF, 0);
            write(&mut uart, DR, n);
        }
        assert_ne!(read(&mut uart, FR) & FR_TXFF, 0);
        assert!(!pins.level(0));
        write(&mut uart, DR, 0xff); // lost
        let mut bytes = [0; 16384];
        let length = reader.read(&mut bytes);
        uart.poll();
        assert!(pins.level(0));
        assert_eq!(read(&mut uart, FR) & (FR_TXFF | FR_BUSY), 0);
        assert_eq!(reader.read(&mut bytes), DEPTH);
        assert_eq!(bytes[..DEPTH], core::array::from_fn::<u8, DEPTH, _>(|n| n as u8));
        assert!(length >= 8192);
    }

    #[test]
    fn loopback_receives_what_was_sent_and_overruns() {
        let (mut uart, serial, _) = uart();
        write(&mut uart, CR, LBE | 0x301);
        write(&mut uart, DR, 0x55);
        write(&mut uart, DR, 0x56);
        assert_eq!(read(&mut uart, RIS) & OEI, OEI);
        assert_eq!(read(&mut uart, RSR), RSR_OE);
        assert_eq!(read(&mut uart, DR), 0x855);
        assert_eq!(serial.history(1), b"");
    }

    #[test]
    fn it_says_what_it_is() {
        let (mut uart, ..) = uart();
        let id: Vec<u32> = (0..8).map(|n| read(&mut uart, PERIPH_ID + 4 * n)).collect();
        assert_eq!(id, [0x11, 0x10, 0x34, 0, 0x0d, 0xf0, 0x05, 0xb1]);
        assert_eq!(uart.read(Access { offset: DR, width: Width::B8, by: 0 }), Err(Refused::Width));
        assert_eq!(uart.read(Access { offset: 0x50, width: Width::B4, by: 0 }), Err(Refused::Nothing));
        assert_eq!(uart.read(Access { offset: 2, width: Width::B1, by: 0 }), Err(Refused::Alignment));
    }
}
