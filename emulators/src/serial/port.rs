//! What all UARTs have in common: two FIFOs between the guest and the far end of the line, and an interrupt.

use core::mem::replace;

use atomic::Arc;
use vio::irq::IrqLine;
use vio::serial::Serial;
use vm_machine::{NotWired, Wires};

use super::fifo::Fifo;

/// A UART's far end, FIFOs of `N` bytes and interrupt line. How many of the bytes are used, `depth`, is the guest's
/// choice.
pub(super) struct Port<const N: usize> {
    irq: IrqLine,
    serial: Arc<Serial>,
    pub(super) transmit: Fifo<N>,
    pub(super) receive: Fifo<N>,
    /// What the line is at.
    level: bool,
}

/// What became of a byte to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sent {
    /// The far end has it.
    Gone,
    /// It waits in the FIFO until there is room at the far end.
    Waits,
    /// There was no room in the FIFO either, as the guest could have seen.
    Lost,
}

impl<const N: usize> Port<N> {
    /// As the node says: its first interrupt, and the serial port of its name.
    pub(super) fn wired(wires: &mut Wires<'_>) -> Result<Self, NotWired> {
        let irq = wires.irq(0)?;
        let serial = wires.serial();
        serial.set_bell(wires.bell());
        Ok(Self::new(irq, serial))
    }

    pub(super) fn new(irq: IrqLine, serial: Arc<Serial>) -> Self {
        Self { irq, serial, transmit: Fifo::new(), receive: Fifo::new(), level: false }
    }

    /// As it was built, with the same wires, which this one loses.
    pub(super) fn renewed(&mut self) -> Self {
        let irq = replace(&mut self.irq, IrqLine::unconnected());
        irq.set(false);
        Self::new(irq, self.serial.clone())
    }

    /// Sets the interrupt line.
    #[inline]
    pub(super) fn settle(&mut self, level: bool) {
        if level != self.level {
            self.level = level;
            self.irq.set(level);
        }
    }

    /// Sends a byte: at once, or as soon as the far end has room.
    #[inline]
    pub(super) fn send(&mut self, byte: u8, depth: usize) -> Sent {
        if self.transmit.is_empty() && self.serial.put(byte) {
            Sent::Gone
        } else if self.transmit.len() < depth {
            self.transmit.push(byte);
            Sent::Waits
        } else {
            Sent::Lost
        }
    }

    /// Sends what waits, as far as the far end has room. Says whether anything was sent.
    pub(super) fn drain(&mut self) -> bool {
        let mut sent = false;
        while let Some(byte) = self.transmit.peek() {
            if !self.serial.put(byte) {
                break;
            }
            self.transmit.pop();
            sent = true;
        }
        sent
    }

    /// Takes what was typed, as far as there is room. Says whether anything came.
    pub(super) fn fill(&mut self, depth: usize) -> bool {
        let mut came = false;
        while self.receive.len() < depth {
            let Some(byte) = self.serial.take() else { break };
            self.receive.push(byte);
            came = true;
        }
        came
    }

    pub(super) fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        tree.field("port", self.serial.name());
        tree.field("to send", self.transmit.len());
        tree.field("received", self.receive.len());
        tree.field("interrupt", self.level);
    }
}
