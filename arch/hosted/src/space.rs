//! A guest's memory map as a sorted map of pages' runs.

use std::collections::BTreeMap;
use std::sync::RwLock;
use std::sync::{PoisonError, RwLockReadGuard};

use addr::{Gpa, Hpa, PAGE_SIZE, Span};
use arch_api::{GuestSpace, MapError, Rights, TableFrames};

/// Bits of a guest-physical address.
const BITS: u32 = 40;

/// A guest's memory map.
pub struct HostedSpace {
    runs: RwLock<BTreeMap<u64, Run>>,
}

#[derive(Clone, Copy)]
struct Run {
    length: u64,
    host: Hpa,
    rights: Rights,
}

impl HostedSpace {
    fn runs(&self) -> RwLockReadGuard<'_, BTreeMap<u64, Run>> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is at `guest`, and what the guest may do with it.
    pub fn look_up(&self, guest: Gpa) -> Option<(Hpa, Rights)> {
        let runs = self.runs();
        let (&base, run) = runs.range(..=guest.get()).next_back()?;
        let offset = guest.get() - base;
        (offset < run.length).then(|| (run.host.offset(offset), run.rights))
    }
}

/// Whole pages, not empty, and within what can be addressed.
fn check(guest: Span<Gpa>) -> Result<(), MapError> {
    if !guest.base().is_aligned(PAGE_SIZE) || !guest.length().is_multiple_of(PAGE_SIZE) || guest.length() == 0
    {
        return Err(MapError::Misaligned);
    }
    if guest.last().get() >> BITS != 0 {
        return Err(MapError::OutOfRange);
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the contract has an unsafe member")]
impl GuestSpace for HostedSpace {
    fn new(_tables: &'static dyn TableFrames) -> Result<Self, MapError> {
        Ok(Self { runs: RwLock::default() })
    }

    unsafe fn map(&self, guest: Gpa, host: Span<Hpa>, rights: Rights) -> Result<(), MapError> {
        let span = Span::<Gpa>::new(guest, host.length()).ok_or(MapError::OutOfRange)?;
        check(span)?;
        if !host.base().is_aligned(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        if let Some((&base, run)) = runs.range(..=span.last().get()).next_back()
            && base + run.length > guest.get()
        {
            return Err(MapError::AlreadyMapped);
        }
        runs.insert(guest.get(), Run { length: host.length(), host: host.base(), rights });
        Ok(())
    }

    fn unmap(&self, guest: Span<Gpa>) -> Result<(), MapError> {
        check(guest)?;
        let (start, end) = (guest.base().get(), guest.base().get() + guest.length());
        let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
        let hit: Vec<(u64, Run)> = runs
            .range(..end)
            .rev()
            .take_while(|(base, run)| *base + run.length > start)
            .map(|(base, run)| (*base, *run))
            .collect();
        for (base, run) in hit {
            runs.remove(&base);
            // What lies before and after the hole stays.
            if base < start {
                runs.insert(base, Run { length: start - base, ..run });
            }
            let last = base + run.length;
            if last > end {
                runs.insert(end, Run { length: last - end, host: run.host.offset(end - base), ..run });
            }
        }
        Ok(())
    }

    fn translate(&self, guest: Gpa) -> Option<Hpa> {
        self.look_up(guest).map(|(host, _)| host)
    }

    fn address_bits(&self) -> u32 {
        BITS
    }
}
