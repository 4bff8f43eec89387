//! The early console: one UART, polled, found by the start-up code in the device tree.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Where the UART's registers are; 0 when there is none.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// Which kind it is; a [`Uart`] as a number.
static KIND: AtomicU8 = AtomicU8::new(0);

/// A UART that can be polled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Uart {
    /// Arm PL011 (DDI 0183).
    Pl011 = 1,
    /// Cadence, as in Zynq (UG1085).
    Cadence = 2,
}

impl Uart {
    /// Whether it is what a device tree's node describes.
    pub(crate) fn drives(self, node: fdt::EarlyNode<'_>) -> bool {
        let models: &[&str] = match self {
            Self::Pl011 => &["arm,pl011"],
            Self::Cadence => &["xlnx,xuartps", "cdns,uart-r1p8", "cdns,uart-r1p12"],
        };
        models.iter().any(|model| node.is_compatible(model))
    }
}

/// From now on this UART is printed to. Its registers are mapped at `base`.
pub(crate) fn start(kind: Uart, base: usize) {
    KIND.store(kind as u8, Ordering::Relaxed);
    BASE.store(base, Ordering::Release);
}

/// The UART's address, for who makes the final mappings.
pub(crate) fn base() -> Option<usize> {
    match BASE.load(Ordering::Acquire) {
        0 => None,
        base => Some(base),
    }
}

/// Prints by polling; a line's end becomes CR LF.
pub(crate) fn print(text: &str) {
    let Some(base) = base() else { return };
    // Status register, the bit in it that says "full", data register.
    let (status, full, data) = match KIND.load(Ordering::Relaxed) {
        1 => (0x18, 1 << 5, 0x00),
        _ => (0x2c, 1 << 4, 0x30),
    };
    for byte in text.bytes() {
        if byte == b'\n' {
            send(base, status, full, data, b'\r');
        }
        send(base, status, full, data, byte);
    }
}

fn send(base: usize, status: usize, full: u32, data: usize, byte: u8) {
    let status = (base + status) as *const u32;
    let data = (base + data) as *mut u32;
    // SAFETY: `start` was given a mapped UART of this kind; these accesses print and nothing else.
    unsafe {
        while core::ptr::read_volatile(status) & full != 0 {
            core::hint::spin_loop();
        }
        core::ptr::write_volatile(data, u32::from(byte));
    }
}
