//! Devices that tests play: what a driver reads and writes goes to a function of the test.

use std::sync::{Arc, Mutex};

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::Width;

use crate::cpu;

/// A device as its driver sees it.
pub trait Registers: Send {
    /// What a read of `width` at `offset` gives.
    fn read(&mut self, offset: u64, width: Width) -> u64;
    /// A write of `width` at `offset`.
    fn write(&mut self, offset: u64, width: Width, value: u64);
}

/// The devices of one processor's machine.
#[derive(Default)]
pub(crate) struct Fakes(Vec<Fake>);

#[derive(Clone)]
struct Fake {
    span: Span<Hpa>,
    seen: usize,
    device: Arc<Mutex<dyn Registers>>,
}

/// Puts a device at `base`, `length` bytes long, into the machine of this test's processor. Give the
/// addresses that the device tree under test says.
pub fn install(base: Hpa, length: u64, device: Arc<Mutex<dyn Registers>>) {
    let length = length.max(1).next_multiple_of(PAGE_SIZE);
    let span = Span::<Hpa>::new(base, length).expect("registers wrap");
    // The memory only keeps the addresses from being used for anything else.
    let seen = crate::memory::allocate(length, PAGE_SIZE).expose_provenance();
    cpu::here().fakes.borrow_mut().0.push(Fake { span, seen, device });
}

impl Fakes {
    /// Where the device that contains all of `span` is seen.
    pub(crate) fn seen_at(&self, span: Span<Hpa>) -> Option<*mut u8> {
        let fake = self.0.iter().find(|fake| fake.span.contains_all(span.base(), span.length()))?;
        let offset = usize::try_from(span.base().since(fake.span.base())?).ok()?;
        Some(core::ptr::with_exposed_provenance_mut(fake.seen + offset))
    }

    fn find(&self, at: usize) -> Option<(Fake, u64)> {
        self.0.iter().find_map(|fake| {
            let offset = at.checked_sub(fake.seen)? as u64;
            (offset < fake.span.length()).then(|| (fake.clone(), offset))
        })
    }
}

fn find(at: *const u8) -> Option<(Fake, u64)> {
    // The device is called after the borrow ended: it may raise an interrupt.
    cpu::here().fakes.borrow().find(at.addr())
}

pub(crate) fn read(at: *const u8, width: Width) -> Option<u64> {
    let (fake, offset) = find(at)?;
    Some(cpu::lock(&fake.device).read(offset, width) & width.mask())
}

pub(crate) fn write(at: *mut u8, width: Width, value: u64) -> bool {
    let Some((fake, offset)) = find(at) else { return false };
    cpu::lock(&fake.device).write(offset, width, value);
    true
}
