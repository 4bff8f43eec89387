//! Where we see the registers of devices.
#![expect(unsafe_code, reason = "registers are mapped")]

use core::fmt;

use addr::{Hpa, Span};
use alloc::vec::Vec;
use arch::{HostPaging, Kind, Machine};
use host_sync::Spin;

use crate::claim::{Claim, machine, pages};
use crate::error::ClaimError;

/// Registers as we see them. Devices that share a page share its mapping, which goes with the last one.
pub struct Mapping {
    address: *mut u8,
    pages: Span<Hpa>,
    seen: *mut u8,
}

// SAFETY: a mapping is the same for all threads and CPUs.
unsafe impl Send for Mapping {}
// SAFETY: as above; through a shared reference only its address can be had.
unsafe impl Sync for Mapping {}

struct Mapped {
    machine: u32,
    pages: Span<Hpa>,
    seen: *mut u8,
    users: usize,
}

// SAFETY: as for `Mapping`.
unsafe impl Send for Mapped {}

static MAPPED: Spin<Vec<Mapped>> = Spin::new(Vec::new());

impl Mapping {
    /// Maps what `claim` is the right to. The mapping must not outlive the claim's owner.
    pub fn new(claim: &Claim) -> Result<Self, ClaimError> {
        Self::of(claim.span())
    }

    pub(crate) fn of(span: Span<Hpa>) -> Result<Self, ClaimError> {
        let pages = pages(span).ok_or(ClaimError::Empty)?;
        let mut mapped = MAPPED.lock();
        let machine = machine();
        let known = mapped
            .iter_mut()
            .find(|other| other.machine == machine && other.pages.contains_all(pages.base(), pages.length()));
        let (pages, seen) = match known {
            Some(other) => {
                other.users += 1;
                (other.pages, other.seen)
            }
            None => {
                // SAFETY: the pages are no RAM, and are mapped as registers only.
                let seen = unsafe { Machine::map(pages, Kind::Registers) }.map_err(ClaimError::Map)?;
                mapped.push(Mapped { machine, pages, seen, users: 1 });
                (pages, seen)
            }
        };
        let offset = span.base().get() - pages.base().get();
        Ok(Self { address: seen.wrapping_add(offset as usize), pages, seen })
    }

    /// Where the first register is seen.
    pub fn address(&self) -> *mut u8 {
        self.address
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let mut mapped = MAPPED.lock();
        let Some(index) = mapped.iter().position(|other| other.seen == self.seen) else { return };
        if let Some(entry) = mapped.get_mut(index) {
            entry.users -= 1;
            if entry.users > 0 {
                return;
            }
        }
        mapped.swap_remove(index);
        // SAFETY: the last user is gone.
        if let Err(why) = unsafe { Machine::unmap(self.seen, self.pages.length()) } {
            host_log::warn!("registers at {} stay mapped: {why}", self.pages);
        }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapping({} at {:p})", self.pages, self.seen)
    }
}
