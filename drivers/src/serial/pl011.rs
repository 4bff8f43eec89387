//! The PL011 UART (ARM DDI 0183), as a character device. Speed and clock stay as the firmware set them.

use arch::Cpu;
use host_mmio::Window;

use super::port::{self, Uart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "pl011", class: "char", stage: Stage::Console, compatible: &["arm,pl011"], start };

/// Registers (3.2) and their bits (3.3).
mod reg {
    pub(super) const DR: u64 = 0x00;
    pub(super) const FR: u64 = 0x18;
    pub(super) const LCR_H: u64 = 0x2c;
    pub(super) const CR: u64 = 0x30;
    pub(super) const IFLS: u64 = 0x34;
    pub(super) const IMSC: u64 = 0x38;
    pub(super) const ICR: u64 = 0x44;

    pub(super) const FR_BUSY: u32 = 1 << 3;
    pub(super) const FR_RXFE: u32 = 1 << 4;
    pub(super) const FR_TXFF: u32 = 1 << 5;
    /// Eight bits, no parity, FIFOs on.
    pub(super) const LCR_H_8N1_FIFO: u32 = 3 << 5 | 1 << 4;
    pub(super) const CR_ON: u32 = 1 << 0 | 1 << 8 | 1 << 9;
    /// Request to send and data terminal ready: kept as they are.
    pub(super) const CR_MODEM: u32 = 1 << 10 | 1 << 11;
    pub(super) const IFLS_RECEIVE_HALF: u32 = 2 << 3 | 2;
    /// Bytes received, and bytes that stayed below the level for a while.
    pub(super) const INT_RECEIVE: u32 = 1 << 4 | 1 << 6;
    pub(super) const INT_ALL: u32 = 0x7ff;
}

/// Looks at BUSY, at most, before the UART is switched off to be set up.
const PATIENCE: u32 = 1_000_000;

struct Pl011(Window);

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    port::start(node, Pl011(node.window(0)?))
}

impl Uart for Pl011 {
    fn set_up(&self) {
        let Self(registers) = self;
        registers.write32(reg::IMSC, 0);
        // 3.3.8: wait for the last character, then switch off, before LCR_H is written.
        for _ in 0..PATIENCE {
            if registers.read32(reg::FR) & reg::FR_BUSY == 0 {
                break;
            }
            arch::Machine::relax();
        }
        let modem = registers.read32(reg::CR) & reg::CR_MODEM;
        registers.write32(reg::CR, modem);
        registers.write32(reg::LCR_H, reg::LCR_H_8N1_FIFO);
        registers.write32(reg::IFLS, reg::IFLS_RECEIVE_HALF);
        registers.write32(reg::ICR, reg::INT_ALL);
        registers.write32(reg::CR, modem | reg::CR_ON);
    }

    fn set_interrupts(&self, on: bool) {
        self.0.write32(reg::IMSC, if on { reg::INT_RECEIVE } else { 0 });
    }

    fn acknowledge(&self) {
        self.0.write32(reg::ICR, reg::INT_RECEIVE);
    }

    fn receive(&self) -> Option<u8> {
        let is_empty = self.0.read32(reg::FR) & reg::FR_RXFE != 0;
        // The upper bits tell errors.
        if is_empty { None } else { Some(self.0.read32(reg::DR) as u8) }
    }

    fn send(&self, bytes: &[u8]) -> usize {
        let is_full = || self.0.read32(reg::FR) & reg::FR_TXFF != 0;
        super::each(bytes, is_full, |byte| self.0.write32(reg::DR, byte.into()))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use host_mmio::fake::Registers;
    use vio::chardev::CharDevice;

    use super::port::Port;
    use super::{Pl011, Uart, reg};

    fn uart(registers: &Registers) -> Port<Pl011> {
        Port::new("uart", Pl011(registers.window()))
    }

    #[test]
    fn it_is_switched_off_while_the_format_is_set() {
        let registers = Registers::new(0x1000);
        Pl011(registers.window()).set_up();
        let writes: Vec<_> = registers.take_log().into_iter().filter(|access| access.write).collect();
        let at = |offset| writes.iter().position(|access| access.offset == offset).unwrap();
        assert_eq!(writes[at(reg::CR)].value, 0);
        assert!(at(reg::CR) < at(reg::LCR_H));
        assert_eq!(registers.get(reg::CR), u64::from(reg::CR_ON));
    }

    #[test]
    fn a_full_fifo_ends_a_write_early() {
        let registers = Registers::new(0x1000);
        registers.script(reg::FR, &[0, 0, u64::from(reg::FR_TXFF)]);
        let uart = uart(&registers);
        assert_eq!(uart.write(b"abc"), 2);
        let sent: Vec<_> =
            registers.take_log().into_iter().filter(|a| a.write).map(|a| a.value as u8).collect();
        assert_eq!(sent, b"ab");
    }

    #[test]
    fn an_interrupt_is_acknowledged_before_the_fifo_is_emptied() {
        let registers = Registers::new(0x1000);
        registers.script(reg::FR, &[0, u64::from(reg::FR_RXFE)]);
        uart(&registers).received();
        let log = registers.take_log();
        let acknowledged = log.iter().position(|access| access.offset == reg::ICR).unwrap();
        assert!(log.iter().skip(acknowledged).any(|access| access.offset == reg::FR));
        assert!(!log.iter().take(acknowledged).any(|access| access.offset == reg::FR));
    }

    #[test]
    fn an_interrupt_empties_the_fifo_into_the_inbox() {
        let registers = Registers::new(0x1000);
        registers.script(reg::FR, &[0, 0, u64::from(reg::FR_RXFE)]);
        registers.script(reg::DR, &[u64::from(b'o'), 0x500 | u64::from(b'k')]);
        let uart = uart(&registers);
        uart.received();
        let mut bytes = [0; 8];
        assert_eq!(uart.read(&mut bytes), 2);
        assert_eq!(&bytes[..2], b"ok");
    }
}
