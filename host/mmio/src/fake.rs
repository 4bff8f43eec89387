//! Devices that tests play, so that a driver is tested without one.
//!
//! ```
//! use host_mmio::fake::Registers;
//!
//! let registers = Registers::new(0x1000);
//! registers.set(0x18, 0x90);
//! let window = registers.window(); // or `registers.install(base)`, and the driver claims it
//! window.write32(0, 0x41);
//! assert_eq!(window.read32(0x18), 0x90);
//! assert_eq!(registers.writes(), [(0, 0x41)]);
//! ```

use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use addr::{Hpa, PAGE_SIZE, Span};
use arch::Width;
use atomic::{AtomicU64, Ordering};

use crate::Window;

/// One access that a driver made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Whether it was a write.
    pub write: bool,
    /// Where.
    pub offset: u64,
    /// How much.
    pub width: Width,
    /// What was read or written.
    pub value: u64,
}

/// A device's registers: a value for each offset, 0 at first, that reads give and writes change; but for
/// what a test scripts. Clones are the same device.
#[derive(Clone)]
pub struct Registers {
    state: Arc<Mutex<State>>,
    length: u64,
}

type OnWrite = Box<dyn FnMut(&Registers, u64) + Send>;
type OnRead = Box<dyn FnMut(&Registers) -> u64 + Send>;

#[derive(Default)]
struct State {
    values: BTreeMap<u64, u64>,
    scripts: BTreeMap<u64, VecDeque<u64>>,
    on_read: BTreeMap<u64, OnRead>,
    on_write: BTreeMap<u64, OnWrite>,
    log: Vec<Access>,
}

/// Where the next device goes that does not care: far above all that trees of real boards name.
static NEXT: AtomicU64 = AtomicU64::new(0x0040_0000_0000_0000);

impl Registers {
    /// A device with `length` bytes of registers.
    pub fn new(length: u64) -> Self {
        Self { state: Arc::default(), length }
    }

    /// Puts the device at `base`, where a driver can claim it. Each test has a machine of its own, so
    /// `base` may be what a real tree says.
    pub fn install(&self, base: Hpa) {
        let device = Arc::new(Mutex::new(Device(self.clone())));
        arch_hosted::registers::install(base, self.length, device);
    }

    /// Puts the device somewhere, and claims it.
    ///
    /// # Panics
    /// When it cannot be claimed.
    pub fn window(&self) -> Window {
        let room = self.length.next_multiple_of(PAGE_SIZE).max(PAGE_SIZE);
        let base = Hpa::new(NEXT.fetch_add(room, Ordering::Relaxed));
        self.install(base);
        let span = Span::<Hpa>::new(base, self.length).expect("registers wrap");
        Window::claim(span, "test").expect("nobody else has these registers")
    }

    /// Sets what the register at `offset` holds.
    pub fn set(&self, offset: u64, value: u64) {
        self.state().values.insert(offset, value);
    }

    /// What the register at `offset` holds.
    pub fn get(&self, offset: u64) -> u64 {
        self.state().values.get(&offset).copied().unwrap_or(0)
    }

    /// The next reads of `offset` give these values, one each; then what the register holds.
    pub fn script(&self, offset: u64, values: &[u64]) {
        self.state().scripts.entry(offset).or_default().extend(values);
    }

    /// Reads of `offset` ask `answer`, which may use this device.
    pub fn on_read(&self, offset: u64, answer: impl FnMut(&Registers) -> u64 + Send + 'static) {
        self.state().on_read.insert(offset, Box::new(answer));
    }

    /// Writes to `offset` are told to `effect`, which may use this device, and not kept.
    pub fn on_write(&self, offset: u64, effect: impl FnMut(&Registers, u64) + Send + 'static) {
        self.state().on_write.insert(offset, Box::new(effect));
    }

    /// All accesses since the last time somebody asked.
    pub fn take_log(&self) -> Vec<Access> {
        std::mem::take(&mut self.state().log)
    }

    /// The writes since the last time somebody asked for accesses: offset and value.
    pub fn writes(&self) -> Vec<(u64, u64)> {
        self.take_log().into_iter().filter(|access| access.write).map(|a| (a.offset, a.value)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that failed elsewhere must not hide what this one says.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, offset: u64) -> u64 {
        if let Some(value) = self.state().scripts.get_mut(&offset).and_then(VecDeque::pop_front) {
            return value;
        }
        // The state is not locked while the test's function runs.
        let asked = self.state().on_read.remove(&offset);
        match asked {
            Some(mut answer) => {
                let value = answer(self);
                self.state().on_read.entry(offset).or_insert(answer);
                value
            }
            None => self.get(offset),
        }
    }

    fn take(&self, offset: u64, value: u64) {
        let told = self.state().on_write.remove(&offset);
        match told {
            Some(mut effect) => {
                effect(self, value);
                self.state().on_write.entry(offset).or_insert(effect);
            }
            None => self.set(offset, value),
        }
    }
}

/// What the development machine asks.
struct Device(Registers);

impl arch_hosted::registers::Registers for Device {
    fn read(&mut self, offset: u64, width: Width) -> u64 {
        let value = self.0.answer(offset) & width.mask();
        self.0.state().log.push(Access { write: false, offset, width, value });
        value
    }
    fn write(&mut self, offset: u64, width: Width, value: u64) {
        self.0.state().log.push(Access { write: true, offset, width, value });
        self.0.take(offset, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClaimError;

    fn span(base: u64, length: u64) -> Span<Hpa> {
        Span::<Hpa>::new(Hpa::new(base), length).unwrap()
    }

    #[test]
    fn a_driver_sees_what_the_test_scripted_and_the_test_what_the_driver_did() {
        let registers = Registers::new(0x1000);
        registers.install(Hpa::new(0x900_0000));
        let window = Window::claim(span(0x900_0000, 0x1000), "uart0").unwrap();
        registers.script(0x18, &[1, 2]);
        registers.set(0x18, 3);
        assert_eq!([window.read32(0x18), window.read32(0x18), window.read32(0x18)], [1, 2, 3]);
        registers.on_write(0x30, |registers, value| registers.set(0x34, value + 1));
        registers.on_read(0x38, |registers| registers.get(0x34) * 2);
        window.write32(0x30, 4);
        assert_eq!((window.read64(0x30), window.read8(0x38)), (0, 10));
        let first = Access { write: false, offset: 0x18, width: Width::B4, value: 1 };
        let log = registers.take_log();
        assert_eq!((log.len(), log.first()), (6, Some(&first)));
    }

    #[test]
    fn devices_share_a_page_but_no_register() {
        let registers = Registers::new(0x1000);
        registers.install(Hpa::new(0xa00_0000));
        let one = Window::claim(span(0xa00_0000, 0x200), "virtio0").unwrap();
        let two = Window::claim(span(0xa00_0200, 0x200), "virtio1").unwrap();
        let taken = Window::claim(span(0xa00_03fc, 8), "virtio2").err();
        assert_eq!(taken, Some(ClaimError::Taken("virtio1".into())));
        drop(one);
        two.write32(4, 5);
        assert_eq!(registers.get(0x204), 5);
        drop(two);
        assert!(crate::resources().is_empty());
        Window::claim(span(0xa00_0000, 0x1000), "virtio").unwrap();
    }

    #[test]
    #[should_panic(expected = "4 bytes at 0xffe")]
    fn an_access_past_the_end_is_a_bug() {
        Registers::new(0x1000).window().read32(0xffe);
    }
}
