//! The 16550 UART (National Semiconductor PC16550D, June 1995) and its relatives, as a character device. Speed stays as
//! the firmware set it. Where registers are and how wide accesses have to be, the node says (`reg-offset`, `reg-shift`,
//! `reg-io-width`).

use host_mmio::Window;
use isa_uart::{self as uart, DEPTH, Spacing, fcr, ier, lcr, lsr, mcr};

use super::port::{self, Uart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "ns16550",
    class: "char",
    stage: Stage::Console,
    compatible: &["ns16550a", "ns16550", "snps,dw-apb-uart", "sifive,uart16550"],
    start,
};

/// Registers as the node spaces them.
struct Registers {
    window: Window,
    spacing: Spacing,
    /// Accesses have 32 bits, not 8.
    wide: bool,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    port::start(node, Registers::of(node)?)
}

impl Registers {
    fn of(node: &Node<'_>) -> Result<Self, Declined> {
        let shift = node.u32_or("reg-shift", 0)?;
        let spacing = Spacing { offset: node.u64_or("reg-offset", 0)?, shift: shift.min(8) };
        let wide = match node.u32_or("reg-io-width", 1)? {
            1 => false,
            4 if shift >= 2 => true,
            other => {
                let text = alloc::format!("property \"reg-io-width\": {other} bytes can't be accessed here");
                return Err(Declined::Broken(text));
            }
        };
        let window = node.window(0)?;
        if window.length() < spacing.size() {
            return Err(Declined::broken("property \"reg\": is too short for eight registers"));
        }
        Ok(Self { window, spacing, wide })
    }

    fn read(&self, register: u64) -> u8 {
        let at = self.spacing.at(register);
        if self.wide { self.window.read32(at) as u8 } else { self.window.read8(at) }
    }

    fn write(&self, register: u64, value: u8) {
        let at = self.spacing.at(register);
        if self.wide {
            self.window.write32(at, value.into());
        } else {
            self.window.write8(at, value);
        }
    }
}

impl Uart for Registers {
    fn set_up(&self) {
        self.write(uart::IER, 0);
        self.write(uart::LCR, lcr::BITS_8);
        // An interrupt at half of the FIFO, and when what is below has waited for a while.
        self.write(uart::FCR, fcr::ENABLE | 2 << 6);
        self.write(uart::MCR, mcr::DTR | mcr::RTS | mcr::OUT2);
    }

    fn set_interrupts(&self, on: bool) {
        self.write(uart::IER, if on { ier::RECEIVED } else { 0 });
    }

    fn receive(&self) -> Option<u8> {
        let is_there = self.read(uart::LSR) & lsr::READY != 0;
        if is_there { Some(self.read(uart::DATA)) } else { None }
    }

    fn send(&self, bytes: &[u8]) -> usize {
        // An empty FIFO is all that the status tells: then as many fit as it holds.
        if self.read(uart::LSR) & lsr::EMPTY == 0 {
            return 0;
        }
        super::each(bytes.get(..DEPTH).unwrap_or(bytes), || false, |byte| self.write(uart::DATA, byte))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use arch::Width;
    use host_mmio::fake;
    use vio::chardev::CharDevice;

    use super::port::Port;
    use super::*;

    fn device(registers: &fake::Registers) -> Port<Registers> {
        let spacing = Spacing::default();
        Port::new("uart", Registers { window: registers.window(), spacing, wide: false })
    }

    #[test]
    fn an_empty_fifo_takes_sixteen_bytes_and_another_one_none() {
        let registers = fake::Registers::new(0x100);
        registers.script(uart::LSR, &[0, lsr::EMPTY.into()]);
        let device = device(&registers);
        assert_eq!(device.write(&[b'.'; 20]), 0);
        assert_eq!(device.write(&[b'.'; 20]), 16);
        let sent = registers.writes().into_iter().filter(|(offset, _)| *offset == uart::DATA).count();
        assert_eq!(sent, 16);
    }

    #[test]
    fn an_interrupt_empties_the_fifo_into_the_inbox() {
        let registers = fake::Registers::new(0x100);
        let ready = u64::from(lsr::READY);
        registers.script(uart::LSR, &[ready, ready, 0]);
        registers.script(uart::DATA, &[b'o'.into(), b'k'.into()]);
        let device = device(&registers);
        device.received();
        let mut bytes = [0; 8];
        assert_eq!(device.read(&mut bytes), 2);
        assert_eq!(&bytes[..2], b"ok");
    }

    #[test]
    fn registers_are_where_the_node_says_and_as_wide() {
        let registers = fake::Registers::new(0x100);
        let spacing = Spacing { offset: 0, shift: 2 };
        Registers { window: registers.window(), spacing, wide: true }.set_up();
        let log: Vec<_> = registers.take_log();
        assert!(log.iter().all(|access| access.width == Width::B4 && access.offset % 4 == 0));
        assert_eq!(registers.get(uart::LCR << 2), lcr::BITS_8.into());
    }
}
