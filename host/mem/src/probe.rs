//! A page whose address can stay while the memory behind it changes: for tests of what other CPUs still see.
#![expect(unsafe_code, reason = "it reaches its own page")]

use addr::PAGE_SIZE;
use atomic::{AtomicU64, Ordering};

use crate::error::NoMemory;
use crate::stack::Stack;

/// A mapped page with one number in it. The address of one that is gone is the next one's, unless a stack took it
/// meanwhile.
#[derive(Debug)]
pub struct Probe(Stack);

impl Probe {
    /// A page. What is in it is not said.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new() -> Result<Self, NoMemory> {
        Stack::new(PAGE_SIZE as usize).map(Self)
    }

    /// Where it is seen.
    pub fn address(&self) -> usize {
        self.0.bottom().addr()
    }

    /// Writes the number.
    pub fn store(&self, value: u64) {
        self.word().store(value, Ordering::SeqCst);
    }

    /// Reads the number.
    pub fn load(&self) -> u64 {
        self.word().load(Ordering::SeqCst)
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the page is mapped as long as the stack lives, and is reached through this word alone; its address
        // is a multiple of a page's size.
        unsafe { AtomicU64::from_ptr(self.0.bottom().cast()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_keeps_its_number() {
        let probe = Probe::new().unwrap();
        probe.store(7);
        assert_eq!(probe.load(), 7);
        assert_eq!(probe.address() % PAGE_SIZE as usize, 0);
    }
}
