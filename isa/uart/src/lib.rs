//! The 16550 UART (National Semiconductor PC16550D, June 1995): registers by their number. Where a register is in
//! memory, the device tree says: [`Spacing`].
#![no_std]
#![forbid(unsafe_code)]

/// Receive (reading) and transmit (writing) buffer; the low divisor while LCR.DLAB is set.
pub const DATA: u64 = 0;
/// Interrupt enable; the high divisor while LCR.DLAB is set.
pub const IER: u64 = 1;
/// Interrupt identification (reading).
pub const IIR: u64 = 2;
/// FIFO control (writing).
pub const FCR: u64 = 2;
/// Line control.
pub const LCR: u64 = 3;
/// Modem control.
pub const MCR: u64 = 4;
/// Line status.
pub const LSR: u64 = 5;
/// Modem status.
pub const MSR: u64 = 6;
/// A byte for software.
pub const SCR: u64 = 7;
/// How many registers there are.
pub const COUNT: u64 = 8;
/// Bytes that each FIFO holds.
pub const DEPTH: usize = 16;

/// Interrupts (8.6).
pub mod ier {
    /// Received data available, and character timeout.
    pub const RECEIVED: u8 = 1 << 0;
    /// Transmitter holding register empty.
    pub const EMPTY: u8 = 1 << 1;
    /// Receiver line status.
    pub const LINE: u8 = 1 << 2;
    /// Modem status.
    pub const MODEM: u8 = 1 << 3;
    /// All of them.
    pub const ALL: u8 = 0xf;
}

/// Interrupt identification (8.5).
pub mod iir {
    /// No interrupt is pending.
    pub const NONE: u8 = 1;
    /// Modem status.
    pub const MODEM: u8 = 0;
    /// Transmitter holding register empty.
    pub const EMPTY: u8 = 2;
    /// Received data available.
    pub const RECEIVED: u8 = 4;
    /// Receiver line status.
    pub const LINE: u8 = 6;
    /// Character timeout.
    pub const TIMEOUT: u8 = 0xc;
    /// The FIFOs are enabled.
    pub const FIFOS: u8 = 0xc0;
}

/// FIFO control (8.4).
pub mod fcr {
    /// The FIFOs are used.
    pub const ENABLE: u8 = 1 << 0;
    /// Empties the receive FIFO.
    pub const CLEAR_RECEIVE: u8 = 1 << 1;
    /// Empties the transmit FIFO.
    pub const CLEAR_TRANSMIT: u8 = 1 << 2;
    /// Received bytes that interrupt, by bits 7:6.
    pub const TRIGGERS: [usize; 4] = [1, 4, 8, 14];
}

/// Line control (8.1).
pub mod lcr {
    /// Eight bits, no parity, one stop bit.
    pub const BITS_8: u8 = 3;
    /// Registers 0 and 1 are the divisor.
    pub const DLAB: u8 = 1 << 7;
}

/// Modem control (8.7).
pub mod mcr {
    /// Data terminal ready.
    pub const DTR: u8 = 1 << 0;
    /// Request to send.
    pub const RTS: u8 = 1 << 1;
    /// Output 1.
    pub const OUT1: u8 = 1 << 2;
    /// Output 2; on PCs what lets interrupts out.
    pub const OUT2: u8 = 1 << 3;
    /// What is sent is received.
    pub const LOOP: u8 = 1 << 4;
}

/// Line status (8.3).
pub mod lsr {
    /// There is received data.
    pub const READY: u8 = 1 << 0;
    /// A byte was lost.
    pub const OVERRUN: u8 = 1 << 1;
    /// Break interrupt.
    pub const BREAK: u8 = 1 << 4;
    /// There is room in the transmitter: the FIFO, or the holding register, is empty.
    pub const EMPTY: u8 = 1 << 5;
    /// All is sent.
    pub const IDLE: u8 = 1 << 6;
}

/// Modem status (8.8).
pub mod msr {
    /// Clear to send, data set ready, carrier detect changed; ring indicator's trailing edge.
    pub const CHANGED: u8 = 0xf;
    /// Clear to send.
    pub const CTS: u8 = 1 << 4;
    /// Data set ready.
    pub const DSR: u8 = 1 << 5;
    /// Ring indicator.
    pub const RI: u8 = 1 << 6;
    /// Data carrier detect.
    pub const DCD: u8 = 1 << 7;
}

/// Where registers are: the properties `reg-offset`, `reg-shift` and `reg-io-width` (binding `8250.yaml`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Spacing {
    /// Where the first register is.
    pub offset: u64,
    /// The logarithm of the distance between two.
    pub shift: u32,
}

impl Spacing {
    /// Where register `number` is.
    #[inline]
    pub const fn at(self, number: u64) -> u64 {
        self.offset + (number << self.shift)
    }

    /// Which register is at an offset.
    #[inline]
    pub const fn number(self, offset: u64) -> Option<u64> {
        let Some(within) = offset.checked_sub(self.offset) else { return None };
        let number = within >> self.shift;
        if number < COUNT && number << self.shift == within { Some(number) } else { None }
    }

    /// Bytes from the node's first to behind the last register.
    pub const fn size(self) -> u64 {
        self.offset + (COUNT << self.shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_spaced_as_the_tree_says() {
        let wide = Spacing { offset: 0x100, shift: 2 };
        assert_eq!((wide.at(LSR), wide.size()), (0x114, 0x120));
        assert_eq!(wide.number(0x114), Some(LSR));
        assert_eq!(wide.number(0x115), None);
        assert_eq!(wide.number(0x120), None);
        assert_eq!(wide.number(0), None);
        assert_eq!(Spacing::default().number(7), Some(SCR));
    }
}
