//! Who has which addresses that are not RAM.

use core::fmt;

use addr::{Hpa, PAGE_SIZE, Span};
use alloc::string::String;
use alloc::vec::Vec;
use host_sync::Spin;

use crate::error::ClaimError;
use crate::frames::is_ram;

/// The exclusive right to registers of a device. Dropping it gives the right back.
pub struct Claim {
    span: Span<Hpa>,
    machine: u32,
}

/// A range of registers, and who has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    /// Where.
    pub span: Span<Hpa>,
    /// Who.
    pub owner: String,
}

struct Entry {
    machine: u32,
    resource: Resource,
}

/// Sorted by address.
static CLAIMS: Spin<Vec<Entry>> = Spin::new(Vec::new());

/// Which machine this is. There is one, but on the development machine each test plays on its own.
pub(crate) fn machine() -> u32 {
    #[cfg(target_os = "none")]
    return 0;
    #[cfg(not(target_os = "none"))]
    return <arch::Machine as arch::Cpu>::id(&arch::IrqsOff::now()).0;
}

impl Claim {
    /// Claims `span` for `owner`. Two devices may share a page, but no byte.
    ///
    /// # Errors
    /// Somebody has some of it, its pages have RAM in them, or it has no bytes.
    pub fn new(span: Span<Hpa>, owner: &str) -> Result<Self, ClaimError> {
        let pages = pages(span).ok_or(ClaimError::Empty)?;
        if is_ram(pages) {
            return Err(ClaimError::IsMemory);
        }
        let machine = machine();
        let entry = Entry { machine, resource: Resource { span, owner: String::from(owner) } };
        let mut claims = CLAIMS.lock();
        let taken =
            claims.iter().find(|other| other.machine == machine && other.resource.span.overlaps(&span));
        if let Some(other) = taken {
            return Err(ClaimError::Taken(other.resource.owner.clone()));
        }
        let place = claims.partition_point(|other| other.resource.span.base() < span.base());
        claims.insert(place, entry);
        Ok(Self { span, machine })
    }

    /// Where the registers are.
    pub fn span(&self) -> Span<Hpa> {
        self.span
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMS.lock().retain(|entry| entry.machine != self.machine || entry.resource.span != self.span);
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Claim({})", self.span)
    }
}

/// All claims, by address.
pub fn resources() -> Vec<Resource> {
    let machine = machine();
    CLAIMS
        .lock()
        .iter()
        .filter(|entry| entry.machine == machine)
        .map(|entry| entry.resource.clone())
        .collect()
}

/// The pages that a span touches; `None` when it has no bytes.
pub(crate) fn pages(span: Span<Hpa>) -> Option<Span<Hpa>> {
    if span.length() == 0 {
        return None;
    }
    let base = span.base().align_down(PAGE_SIZE);
    let last = span.last().align_down(PAGE_SIZE);
    Span::<Hpa>::new(base, last.since(base)?.checked_add(PAGE_SIZE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(base: u64, length: u64) -> Span<Hpa> {
        Span::<Hpa>::new(Hpa::new(base), length).unwrap()
    }

    #[test]
    fn registers_belong_to_one_owner_until_he_drops_them() {
        let first = Claim::new(span(0x900_0000, 0x200), "uart0").unwrap();
        let next = Claim::new(span(0x900_0200, 0x200), "uart1").unwrap();
        assert_eq!(
            Claim::new(span(0x900_01ff, 2), "rtc").err(),
            Some(ClaimError::Taken(String::from("uart0")))
        );
        let owners: Vec<String> = resources().into_iter().map(|resource| resource.owner).collect();
        assert_eq!(owners, ["uart0", "uart1"]);
        drop(first);
        Claim::new(span(0x900_0000, 0x200), "rtc").unwrap();
        drop(next);
        assert!(resources().is_empty());
    }

    #[test]
    fn memory_is_not_claimed_as_registers() {
        let frames = crate::Frames::take(0).unwrap();
        assert_eq!(
            Claim::new(span(frames.base().get() + 0x10, 4), "uart0").err(),
            Some(ClaimError::IsMemory)
        );
        assert_eq!(Claim::new(span(0x1000, 0), "uart0").err(), Some(ClaimError::Empty));
    }
}
