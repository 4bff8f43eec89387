//! One word for a CPU that polls memory before it runs our code (spin tables).
#![expect(unsafe_code, reason = "the word lies where firmware put it")]

use addr::{Hpa, PAGE_SIZE, Span};
use arch::{Cache, HostPaging, Machine, Mmio, Untyped, Width};

use crate::error::ClaimError;
use crate::frames::is_all_ram;
use crate::mapping::Mapping;

/// Stores `value` at `at`, which firmware set aside, so that a CPU with its caches off sees it.
///
/// # Errors
/// The address is not aligned, or cannot be mapped.
pub fn store_for_waiting_cpu(at: Hpa, value: u64) -> Result<(), ClaimError> {
    let span = Span::<Hpa>::new(at, 8).filter(|_| at.is_aligned(8)).ok_or(ClaimError::Empty)?;
    // The first page is in no map, so that a null pointer is a fault.
    if at.get() >= PAGE_SIZE && is_all_ram(span) {
        let to = Machine::address_of(at);
        // SAFETY: all RAM but its first page is mapped; the tree says that this word is for this purpose.
        unsafe { Machine::store(to, Width::B8, value) };
        Machine::make_visible_to_device(to, 8);
    } else {
        let mapping = Mapping::of(span)?;
        // SAFETY: the mapping is alive and the address aligned; nobody else uses the word.
        unsafe { Machine::write64(mapping.address(), value) };
    }
    Ok(())
}
