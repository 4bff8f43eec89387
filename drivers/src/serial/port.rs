//! What all UARTs have in common as character devices: a lock around the registers, an interrupt that empties the
//! receive FIFO into an [`Inbox`], a place in the registry. A driver of one adds its registers: [`Uart`].

use alloc::boxed::Box;
use alloc::string::String;

use atomic::Arc;
use host_irq::{Line, Outcome};
use host_sync::{IrqOff, Rank, Spin};
use vio::Listener;
use vio::chardev::{self, CharDevice};

use super::inbox::Inbox;
use crate::{Declined, Node, Running};

/// The registers of a UART. Each of these is called with the lock held.
pub(super) trait Uart: Send + Sized + 'static {
    /// How often an interrupt is acknowledged and the FIFO emptied.
    const ROUNDS: usize = 1;

    /// Eight bits, no parity, FIFOs on, no interrupts. Speed and clock stay as the firmware set them.
    fn set_up(&self);

    /// Received bytes interrupt, or nothing does.
    fn set_interrupts(&self, on: bool);

    /// Acknowledges a receive interrupt, before the FIFO is emptied: what arrives after the last look at it
    /// then interrupts again. Nothing to do where the level of the FIFO is all that there is.
    fn acknowledge(&self) {}

    /// The oldest byte of the receive FIFO; nothing when it is empty. One with an error is delivered as it came.
    fn receive(&self) -> Option<u8>;

    /// Puts the first of `bytes` into the transmit FIFO, as many as there is room for without waiting; says how
    /// many. At most [`BURST`](super::BURST) are given.
    fn send(&self, bytes: &[u8]) -> usize;
}

/// A UART as a character device.
pub(super) struct Port<U> {
    name: String,
    /// Held while bytes go into the transmit FIFO: at most as many as it has room for.
    uart: Spin<U, IrqOff>,
    inbox: Inbox,
}

/// Dropped from the front: silent first, then unlisted.
struct Started<U: Uart> {
    _line: Line,
    port: Arc<Port<U>>,
}

/// Starts the UART of `node`, with its first interrupt.
pub(super) fn start<U: Uart>(node: &Node<'_>, uart: U) -> Result<Running, Declined> {
    let irq = node.irq(0)?;
    uart.set_up();
    let port = Arc::new(Port::new(node.name(), uart));
    let handler = port.clone();
    let line = irq.on(
        node.name(),
        Box::new(move |_, _| {
            handler.received();
            Outcome::Done
        }),
    )?;
    port.uart.lock().set_interrupts(true);
    chardev::publish(port.clone());
    Ok(Box::new(Started { _line: line, port }))
}

impl<U: Uart> Port<U> {
    pub(super) fn new(name: &str, uart: U) -> Self {
        Self { name: name.into(), uart: Spin::ranked(uart, Rank::Registers), inbox: Inbox::new() }
    }

    /// What the interrupt does.
    pub(super) fn received(&self) {
        for _ in 0..U::ROUNDS {
            self.uart.lock().acknowledge();
            self.inbox.fill(|| self.uart.lock().receive());
        }
    }
}

impl<U: Uart> CharDevice for Port<U> {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&self, bytes: &[u8]) -> usize {
        self.uart.lock().send(bytes.get(..super::BURST).unwrap_or(bytes))
    }

    fn read(&self, into: &mut [u8]) -> usize {
        self.inbox.read(into)
    }

    fn set_listener(&self, listener: Option<Arc<dyn Listener>>) {
        self.inbox.set_listener(listener);
    }
}

impl<U: Uart> Drop for Started<U> {
    fn drop(&mut self) {
        self.port.uart.lock().set_interrupts(false);
        chardev::withdraw(&self.port.name);
    }
}
