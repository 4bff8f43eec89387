//! The 16550 UART (National Semiconductor PC16550D, June 1995) and its relatives, as a character device. Speed stays as
//! the firmware set it. Where registers are and how wide accesses have to be, the node says (`reg-offset`, `reg-shift`,
//! `reg-io-width`).

use alloc::boxed::Box;
use alloc::string::String;

use atomic::Arc;
use host_irq::{Line, Outcome};
use host_mmio::Window;
use host_sync::{IrqOff, Spin};
use isa_uart::{self as uart, DEPTH, Spacing, fcr, ier, lcr, lsr, mcr};
use vio::Listener;
use vio::chardev::{self, CharDevice};

use super::inbox::Inbox;
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

struct Ns16550 {
    name: String,
    /// Held while bytes go into the transmit FIFO: at most as many as it has room for.
    registers: Spin<Registers, IrqOff>,
    inbox: Inbox,
}

/// Dropped from the front: silent first, then unlisted.
struct Started {
    _line: Line,
    uart: Arc<Ns16550>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let registers = Registers::of(node)?;
    let irq = node.irq(0)?;
    registers.set_up();
    let uart =
        Arc::new(Ns16550 { name: node.name().into(), registers: Spin::new(registers), inbox: Inbox::new() });
    let handler = uart.clone();
    let line = irq.on(
        node.name(),
        Box::new(move |_, _| {
            handler.received();
            Outcome::Done
        }),
    )?;
    uart.registers.lock().write(uart::IER, ier::RECEIVED);
    chardev::publish(uart.clone());
    Ok(Box::new(Started { _line: line, uart }))
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

    fn set_up(&self) {
        self.write(uart::IER, 0);
        self.write(uart::LCR, lcr::BITS_8);
        // An interrupt at half of the FIFO, and when what is below has waited for a while.
        self.write(uart::FCR, fcr::ENABLE | 2 << 6);
        self.write(uart::MCR, mcr::DTR | mcr::RTS | mcr::OUT2);
    }
}

impl Ns16550 {
    fn received(&self) {
        self.inbox.fill(|| {
            let registers = self.registers.lock();
            if registers.read(uart::LSR) & lsr::READY == 0 {
                return None;
            }
            // A character with an error is delivered as it came.
            Some(registers.read(uart::DATA))
        });
    }
}

impl CharDevice for Ns16550 {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, bytes: &[u8]) -> usize {
        let registers = self.registers.lock();
        // An empty FIFO is all that the status tells: then as many fit as it holds.
        if registers.read(uart::LSR) & lsr::EMPTY == 0 {
            return 0;
        }
        let mut sent = 0;
        for byte in bytes.iter().take(DEPTH) {
            registers.write(uart::DATA, *byte);
            sent += 1;
        }
        sent
    }

    fn read(&self, into: &mut [u8]) -> usize {
        self.inbox.read(into)
    }

    fn set_listener(&self, listener: Option<Arc<dyn Listener>>) {
        self.inbox.set_listener(listener);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.uart.registers.lock().write(uart::IER, 0);
        chardev::withdraw(&self.uart.name);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use arch::Width;
    use host_mmio::fake;

    use super::*;

    fn device(registers: &fake::Registers, spacing: Spacing, wide: bool) -> Ns16550 {
        let registers = Registers { window: registers.window(), spacing, wide };
        Ns16550 { name: "uart".into(), registers: Spin::new(registers), inbox: Inbox::new() }
    }

    #[test]
    fn an_empty_fifo_takes_sixteen_bytes_and_another_one_none() {
        let registers = fake::Registers::new(0x100);
        registers.script(uart::LSR, &[0, lsr::EMPTY.into()]);
        let device = device(&registers, Spacing::default(), false);
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
        let device = device(&registers, Spacing::default(), false);
        device.received();
        let mut bytes = [0; 8];
        assert_eq!(device.read(&mut bytes), 2);
        assert_eq!(&bytes[..2], b"ok");
    }

    #[test]
    fn registers_are_where_the_node_says_and_as_wide() {
        let registers = fake::Registers::new(0x100);
        let device = device(&registers, Spacing { offset: 0, shift: 2 }, true);
        device.registers.lock().set_up();
        let log: Vec<_> = registers.take_log();
        assert!(log.iter().all(|access| access.width == Width::B4 && access.offset % 4 == 0));
        assert_eq!(registers.get(uart::LCR << 2), lcr::BITS_8.into());
    }
}
