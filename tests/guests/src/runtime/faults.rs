//! Synchronous exceptions: expected, counted, stepped over.

use atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// A synchronous exception that was expected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// What the architecture says of its cause.
    pub(crate) cause: u64,
    /// And of its address.
    pub(crate) address: u64,
}

static TOLERANT: AtomicBool = AtomicBool::new(false);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static CAUSE: AtomicU64 = AtomicU64::new(0);
static ADDRESS: AtomicU64 = AtomicU64::new(0);

/// From now on a synchronous exception is counted, and what caused it is stepped over; or back again.
pub(crate) fn tolerate(tolerant: bool) {
    TOLERANT.store(tolerant, Relaxed);
}

/// Whether exceptions are stepped over.
pub(crate) fn are_tolerated() -> bool {
    TOLERANT.load(Relaxed)
}

/// Called by the vectors.
pub(crate) fn note(fault: Fault) {
    FAULTS.fetch_add(1, Relaxed);
    CAUSE.store(fault.cause, Relaxed);
    ADDRESS.store(fault.address, Relaxed);
}

/// How many synchronous exceptions there have been.
pub(crate) fn count() -> u64 {
    FAULTS.load(Relaxed)
}

/// Runs `what`; returns the last synchronous exception that it caused, or else its value.
pub(crate) fn attempt<T>(what: impl FnOnce() -> T) -> Result<T, Fault> {
    let before = count();
    let tolerant = TOLERANT.swap(true, Relaxed);
    let value = what();
    TOLERANT.store(tolerant, Relaxed);
    if count() == before {
        return Ok(value);
    }
    Err(Fault { cause: CAUSE.load(Relaxed), address: ADDRESS.load(Relaxed) })
}
