//! The Cadence UART of Zynq and Zynq UltraScale+ (UG1085 chapter 21; registers in UG1087), as a character
//! device. Speed and clock stay as the firmware set them.

use host_mmio::Window;

use super::port::{self, Uart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "cadence-uart",
    class: "char",
    stage: Stage::Console,
    compatible: &["xlnx,xuartps", "cdns,uart-r1p8", "cdns,uart-r1p12"],
    start,
};

/// Registers (UG1087, module UART) and their bits.
mod reg {
    pub(super) const CONTROL: u64 = 0x00;
    pub(super) const INTERRUPT_ENABLE: u64 = 0x08;
    pub(super) const INTERRUPT_DISABLE: u64 = 0x0c;
    pub(super) const INTERRUPT_STATUS: u64 = 0x14;
    pub(super) const RECEIVE_TIMEOUT: u64 = 0x1c;
    pub(super) const RECEIVE_LEVEL: u64 = 0x20;
    pub(super) const STATUS: u64 = 0x2c;
    pub(super) const FIFO: u64 = 0x30;

    /// RXEN and TXEN, with their opposites RXDIS and TXDIS clear.
    pub(super) const CONTROL_ON: u32 = 1 << 2 | 1 << 4;
    /// Starts the receive time-out anew.
    pub(super) const CONTROL_RESTART: u32 = 1 << 6;
    pub(super) const STATUS_RECEIVE_EMPTY: u32 = 1 << 1;
    pub(super) const STATUS_TRANSMIT_FULL: u32 = 1 << 4;
    /// The receive FIFO reached its level, overflowed, or held bytes for a while.
    pub(super) const INT_RECEIVE: u32 = 1 << 0 | 1 << 5 | 1 << 8;
    pub(super) const INT_ALL: u32 = 0x1fff;
}

struct Cadence(Window);

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    port::start(node, Cadence(node.window(0)?))
}

impl Uart for Cadence {
    // The level is a state: cleared while bytes are there, it is raised again at once. So the second round clears it
    // for good, and takes what came between.
    const ROUNDS: usize = 2;

    fn set_up(&self) {
        let Self(registers) = self;
        registers.write32(reg::INTERRUPT_DISABLE, reg::INT_ALL);
        registers.write32(reg::RECEIVE_LEVEL, 1);
        // Four bit times are one unit: after ten, what stays below the level is announced too.
        registers.write32(reg::RECEIVE_TIMEOUT, 10);
        registers.write32(reg::CONTROL, reg::CONTROL_ON | reg::CONTROL_RESTART);
        registers.write32(reg::INTERRUPT_STATUS, reg::INT_ALL);
    }

    fn set_interrupts(&self, on: bool) {
        if on {
            self.0.write32(reg::INTERRUPT_ENABLE, reg::INT_RECEIVE);
        } else {
            self.0.write32(reg::INTERRUPT_DISABLE, reg::INT_ALL);
        }
    }

    fn acknowledge(&self) {
        self.0.write32(reg::INTERRUPT_STATUS, reg::INT_RECEIVE);
    }

    fn receive(&self) -> Option<u8> {
        let is_empty = self.0.read32(reg::STATUS) & reg::STATUS_RECEIVE_EMPTY != 0;
        if is_empty { None } else { Some(self.0.read32(reg::FIFO) as u8) }
    }

    fn send(&self, bytes: &[u8]) -> usize {
        let is_full = || self.0.read32(reg::STATUS) & reg::STATUS_TRANSMIT_FULL != 0;
        super::each(bytes, is_full, |byte| self.0.write32(reg::FIFO, byte.into()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use host_mmio::fake::Registers;
    use vio::chardev::CharDevice;

    use super::port::Port;
    use super::{Cadence, Uart, reg};

    #[test]
    fn it_receives_and_sends_through_its_fifo() {
        let registers = Registers::new(0x1000);
        Cadence(registers.window()).set_up();
        let uart = Port::new("uart", Cadence(registers.window()));
        registers.take_log();
        let empty = u64::from(reg::STATUS_RECEIVE_EMPTY);
        registers.script(reg::STATUS, &[0, 0, empty, empty, 0, u64::from(reg::STATUS_TRANSMIT_FULL)]);
        registers.script(reg::FIFO, &[u64::from(b'h'), u64::from(b'i')]);
        uart.received();
        let mut bytes = [0; 4];
        assert_eq!(uart.read(&mut bytes), 2);
        assert_eq!(&bytes[..2], b"hi");
        assert_eq!(uart.write(b"xy"), 1);
        let sent: Vec<_> =
            registers.take_log().into_iter().filter(|a| a.write && a.offset == reg::FIFO).collect();
        assert_eq!(sent.len(), 1);
        assert_eq!(sent[0].value as u8, b'x');
    }
}
