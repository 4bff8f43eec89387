//! Interrupt lines of guests. A line carries a *level*; edges are a matter for the controller.

use atomic::Arc;

/// The input side of a guest's interrupt controller. No locks, any context: setting a pin is an atomic
/// bit and, when it rises, the wake-up of a virtual CPU.
pub trait Pins: Send + Sync {
    /// Sets the level of one pin. Setting what already is does nothing.
    fn set(&self, pin: u32, level: bool);
    /// Up and down again at once: an edge that leaves the level low.
    fn pulse(&self, pin: u32) {
        self.set(pin, true);
        self.set(pin, false);
    }
}

/// What takes interrupts that are messages: writes of a number to an address.
pub trait Messages: Send + Sync {
    /// Takes a message; one to an address where nobody listens is lost. From any context.
    fn send(&self, address: u64, data: u32);
    /// Where messages for a CPU are sent to, by the CPU's place among the controller's.
    fn address(&self, cpu: u32) -> Option<u64>;
}

/// One line from a device to a pin of its machine's interrupt controller.
#[derive(Clone)]
pub struct IrqLine {
    pins: Option<Arc<dyn Pins>>,
    pin: u32,
}

impl IrqLine {
    /// The line to pin `pin` of `pins`.
    pub fn new(pins: Arc<dyn Pins>, pin: u32) -> Self {
        Self { pins: Some(pins), pin }
    }

    /// A line that ends nowhere.
    pub const fn unconnected() -> Self {
        Self { pins: None, pin: 0 }
    }

    /// Sets the level.
    #[inline]
    pub fn set(&self, level: bool) {
        if let Some(pins) = &self.pins {
            pins.set(self.pin, level);
        }
    }

    /// Up and down again at once.
    pub fn pulse(&self) {
        if let Some(pins) = &self.pins {
            pins.pulse(self.pin);
        }
    }

    /// Which pin the line leads to; `None` when it ends nowhere.
    pub fn pin(&self) -> Option<u32> {
        self.pins.as_ref().map(|_| self.pin)
    }
}

impl core::fmt::Debug for IrqLine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.pin() {
            Some(pin) => write!(f, "pin {pin}"),
            None => f.write_str("unconnected"),
        }
    }
}

/// Pins for tests: they remember their levels and how often they rose.
pub mod fake {
    use alloc::vec::Vec;

    use atomic::{Arc, AtomicBool, AtomicU32, Ordering};

    use super::IrqLine;

    /// So many pins.
    pub struct Pins(Vec<(AtomicBool, AtomicU32)>);

    impl Pins {
        /// `count` pins, all low.
        pub fn new(count: usize) -> Arc<Self> {
            Arc::new(Self((0..count).map(|_| (AtomicBool::new(false), AtomicU32::new(0))).collect()))
        }
        /// The line to `pin`.
        pub fn line(self: &Arc<Self>, pin: u32) -> IrqLine {
            IrqLine::new(self.clone(), pin)
        }
        /// The level of `pin`; low when there is no such pin.
        pub fn level(&self, pin: u32) -> bool {
            self.at(pin).is_some_and(|(level, _)| level.load(Ordering::Relaxed))
        }
        /// How often `pin` rose.
        pub fn rises(&self, pin: u32) -> u32 {
            self.at(pin).map_or(0, |(_, rises)| rises.load(Ordering::Relaxed))
        }
        fn at(&self, pin: u32) -> Option<&(AtomicBool, AtomicU32)> {
            self.0.get(usize::try_from(pin).ok()?)
        }
    }

    impl super::Pins for Pins {
        fn set(&self, pin: u32, level: bool) {
            if let Some((now, rises)) = self.at(pin)
                && !now.swap(level, Ordering::Relaxed)
                && level
            {
                rises.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{IrqLine, fake};

    #[test]
    fn a_line_carries_a_level_and_a_pulse_leaves_it_low() {
        let pins = fake::Pins::new(4);
        let line = pins.line(2);
        line.set(true);
        line.set(true);
        assert!(pins.level(2));
        assert_eq!(pins.rises(2), 1);
        line.set(false);
        line.pulse();
        assert!(!pins.level(2));
        assert_eq!(pins.rises(2), 2);
        IrqLine::unconnected().set(true);
    }
}
