//! What CPUs may remember of guests' maps, in debug builds: whose translations stand under which VMID.
//!
//! An emulator forgets more than it is told to, so that a fence that is missing shows nowhere. Here it does: a map that
//! is loaded where another one's translations may still stand under its VMID is a panic.

use core::sync::atomic::{AtomicU64, Ordering};

use addr::Hpa;

/// VMIDs in debug builds, 0 included: a few guests already have to share.
pub const VMIDS: u64 = 3;
/// CPUs that are looked at.
const CPUS: usize = 32;

/// For each CPU and VMID: the root of the tables that translations may come from; 0 if there are none.
#[derive(Debug)]
pub struct Remembered([[AtomicU64; VMIDS as usize]; CPUS]);

impl Remembered {
    /// Nothing.
    pub const fn new() -> Self {
        Self([const { [const { AtomicU64::new(0) }; VMIDS as usize] }; CPUS])
    }

    /// The map at `root` is loaded on `cpu`.
    ///
    /// # Panics
    /// When the CPU may remember something of another map under the same VMID.
    pub fn load(&self, cpu: u32, vmid: u64, root: Hpa) {
        let Some(entry) = self.0.get(cpu as usize).and_then(|cpu| cpu.get(vmid as usize)) else { return };
        let before = entry.swap(root.get(), Ordering::Relaxed);
        assert!(
            before == 0 || before == root.get(),
            "CPU{cpu} may remember the guest whose tables are at {before:#x} under VMID {vmid}, which {root:?} is loaded with"
        );
    }

    /// `cpu` forgets everything.
    pub fn forget_all(&self, cpu: u32) {
        for entry in self.0.get(cpu as usize).into_iter().flatten() {
            entry.store(0, Ordering::Relaxed);
        }
    }

    /// All CPUs forget the map at `root`, which is about to end.
    pub fn forget_map(&self, root: Hpa) {
        for entry in self.0.iter().flatten() {
            // Another map's may stand there by now.
            let _other = entry.compare_exchange(root.get(), 0, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Hpa = Hpa::new(0x1000);
    const OTHER: Hpa = Hpa::new(0x2000);

    #[test]
    fn a_map_that_is_loaded_where_it_was_or_after_all_was_forgotten_is_in_order() {
        let remembered = Remembered::new();
        remembered.load(0, 1, ONE);
        remembered.load(0, 2, OTHER);
        remembered.load(0, 1, ONE);
        remembered.load(1, 1, OTHER);
        remembered.forget_all(0);
        remembered.load(0, 1, OTHER);
        remembered.forget_map(OTHER);
        remembered.load(0, 1, ONE);
        remembered.load(1, 1, ONE);
    }

    #[test]
    #[should_panic(expected = "may remember the guest whose tables are at 0x1000 under VMID 1")]
    fn one_that_is_loaded_where_another_is_remembered_is_not() {
        let remembered = Remembered::new();
        remembered.load(3, 1, ONE);
        remembered.forget_all(2);
        remembered.load(3, 1, OTHER);
    }
}
