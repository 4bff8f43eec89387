//! The early console: one UART, polled, found by the start-up code in the device tree.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use fdt::{Early, EarlyNode};

/// Where the UART's registers are; 0 when there is none.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// How it is polled: [`Layout::packed`].
static LAYOUT: AtomicU32 = AtomicU32::new(0);

/// A kind of UART that can be polled.
struct Model {
    compatible: &'static [&'static str],
    layout: Layout,
}

/// Where to look and what to write.
#[derive(Clone, Copy)]
struct Layout {
    /// Offset of the status register.
    status: u8,
    /// The bit of it that says whether there is room.
    bit: u8,
    /// Whether the bit is set when there is.
    set: bool,
    /// Offset of the data register.
    data: u8,
    /// Registers are accessed as bytes, as opposed to words.
    bytes: bool,
}

const MODELS: &[Model] = &[
    // Arm DDI 0183: UARTFR.TXFF, UARTDR.
    Model {
        compatible: &["arm,pl011"],
        layout: Layout { status: 0x18, bit: 5, set: false, data: 0, bytes: false },
    },
    // Cadence, as in Zynq (UG1085): Channel_sts.TFUL, TX_RX_FIFO.
    Model {
        compatible: &["xlnx,xuartps", "cdns,uart-r1p8", "cdns,uart-r1p12"],
        layout: Layout { status: 0x2c, bit: 4, set: false, data: 0x30, bytes: false },
    },
    // National Semiconductor 16550: LSR.THRE, THR.
    Model {
        compatible: &["ns16550a", "ns16550", "snps,dw-apb-uart"],
        layout: Layout { status: 5, bit: 5, set: true, data: 0, bytes: true },
    },
];

impl Layout {
    const fn packed(self) -> u32 {
        self.status as u32
            | (self.data as u32) << 8
            | (self.bit as u32) << 16
            | (self.set as u32) << 24
            | (self.bytes as u32) << 25
    }

    const fn unpacked(from: u32) -> Self {
        Self {
            status: from as u8,
            data: (from >> 8) as u8,
            bit: (from >> 16) as u8,
            set: from >> 24 & 1 != 0,
            bytes: from >> 25 & 1 != 0,
        }
    }

    /// With the distance and width of registers that the node tells (`reg-shift`, `reg-io-width`).
    fn of(self, node: EarlyNode<'_>) -> Self {
        let number = |name| {
            let bytes = node.property(name)?.first_chunk::<4>()?;
            Some(u32::from_be_bytes(*bytes))
        };
        if !self.bytes {
            return self;
        }
        let shift = number("reg-shift").unwrap_or(0).min(2);
        Self {
            status: self.status << shift,
            data: self.data << shift,
            bytes: number("reg-io-width").unwrap_or(1) == 1,
            ..self
        }
    }
}

/// A console that was found, whose registers are yet to be mapped.
#[derive(Debug)]
pub struct Found {
    /// Where its registers lie.
    pub base: u64,
    packed: u32,
}

/// Looks for the UART that `/chosen` names.
pub fn find(fdt: &[u8]) -> Option<Found> {
    let console = Early::new(fdt).ok()?.console()?;
    let model = MODELS
        .iter()
        .find(|model| model.compatible.iter().any(|compatible| console.node.is_compatible(compatible)))?;
    Some(Found { base: console.registers.start, packed: model.layout.of(console.node).packed() })
}

/// From now on this UART is printed to.
///
/// # Safety
/// Its registers are mapped at their physical address, and stay so.
pub unsafe fn start(found: Found) {
    LAYOUT.store(found.packed, Ordering::Relaxed);
    BASE.store(found.base as usize, Ordering::Release);
}

/// The UART's address, for who makes the final mappings.
pub fn base() -> Option<usize> {
    match BASE.load(Ordering::Acquire) {
        0 => None,
        base => Some(base),
    }
}

/// Prints by polling; a line's end becomes CR LF.
pub fn print(text: &str) {
    let Some(base) = base() else { return };
    let layout = Layout::unpacked(LAYOUT.load(Ordering::Relaxed));
    for byte in text.bytes() {
        if byte == b'\n' {
            send(base, layout, b'\r');
        }
        send(base, layout, byte);
    }
}

fn send(base: usize, layout: Layout, byte: u8) {
    let (status, data) = (base + usize::from(layout.status), base + usize::from(layout.data));
    let room = if layout.set { 1 << layout.bit } else { 0 };
    // SAFETY: `start` was promised a mapped UART of this kind; these accesses print and nothing else.
    unsafe {
        if layout.bytes {
            while u32::from(core::ptr::read_volatile(status as *const u8)) & 1 << layout.bit != room {
                core::hint::spin_loop();
            }
            core::ptr::write_volatile(data as *mut u8, byte);
        } else {
            while core::ptr::read_volatile(status as *const u32) & 1 << layout.bit != room {
                core::hint::spin_loop();
            }
            core::ptr::write_volatile(data as *mut u32, u32::from(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_survives_being_packed() {
        for model in MODELS {
            let again = Layout::unpacked(model.layout.packed());
            assert_eq!(again.packed(), model.layout.packed());
            assert_eq!((again.bit, again.set), (model.layout.bit, model.layout.set));
        }
    }
}
