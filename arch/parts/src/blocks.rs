//! The private blocks of all processors, by number.

use alloc::boxed::Box;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use arch_api::{CpuId, MAX_CPUS};

/// What belongs to one CPU.
pub trait Block: Sync + Sized + 'static {
    /// The CPU's number.
    fn id(&self) -> CpuId;
    /// The CPU's hardware id.
    fn hardware_id(&self) -> u64;
    /// That of a further CPU; `None` when there is no memory for it.
    fn new(id: CpuId, hardware_id: u64) -> Option<Box<Self>>;
}

/// The blocks of a machine's processors; a `static`. They are numbered in the order in which they came.
#[derive(Debug)]
pub struct Blocks<B> {
    blocks: [AtomicPtr<B>; MAX_CPUS],
    count: AtomicUsize,
    preparing: AtomicBool,
}

impl<B: Block> Blocks<B> {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            blocks: [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS],
            count: AtomicUsize::new(0),
            preparing: AtomicBool::new(false),
        }
    }

    /// Notes the boot processor's block.
    pub fn first(&self, block: &'static B) {
        if let Some(slot) = self.blocks.first() {
            slot.store(core::ptr::from_ref(block).cast_mut(), Ordering::Release);
            self.count.store(1, Ordering::Release);
        }
    }

    /// How many processors there are, on or off.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The block of a processor.
    #[inline]
    pub fn get(&self, cpu: usize) -> Option<&'static B> {
        // SAFETY: blocks are static or leaked.
        unsafe { self.blocks.get(cpu)?.load(Ordering::Acquire).as_ref() }
    }

    /// The block of the processor with this hardware id.
    pub fn find(&self, hardware_id: u64) -> Option<&'static B> {
        (0..self.count()).find_map(|cpu| self.get(cpu).filter(|block| block.hardware_id() == hardware_id))
    }

    /// Lets `prepare` fill the block of the processor with this hardware id, made if there is none; by one caller
    /// at a time.
    pub fn prepare<R>(&self, hardware_id: u64, prepare: impl FnOnce(&'static B) -> R) -> Option<R> {
        while self.preparing.swap(true, Ordering::Acquire) {
            core::hint::spin_loop();
        }
        let result = self.find_or_make(hardware_id).map(prepare);
        self.preparing.store(false, Ordering::Release);
        result
    }

    fn find_or_make(&self, hardware_id: u64) -> Option<&'static B> {
        if let Some(known) = self.find(hardware_id) {
            return Some(known);
        }
        let count = self.count();
        let slot = self.blocks.get(count)?;
        let block: &'static B = Box::leak(B::new(CpuId(u32::try_from(count).ok()?), hardware_id)?);
        slot.store(core::ptr::from_ref(block).cast_mut(), Ordering::Release);
        self.count.store(count + 1, Ordering::Release);
        Some(block)
    }
}

impl<B: Block> Default for Blocks<B> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cpu(CpuId, u64);

    impl Block for Cpu {
        fn id(&self) -> CpuId {
            self.0
        }
        fn hardware_id(&self) -> u64 {
            self.1
        }
        fn new(id: CpuId, hardware_id: u64) -> Option<Box<Self>> {
            (hardware_id != 13).then(|| Box::new(Self(id, hardware_id)))
        }
    }

    #[test]
    fn processors_are_numbered_as_they_come_and_keep_their_numbers() {
        static FIRST: Cpu = Cpu(CpuId(0), 100);
        static BLOCKS: Blocks<Cpu> = Blocks::new();
        BLOCKS.first(&FIRST);
        let number = |hardware_id| BLOCKS.prepare(hardware_id, |block| block.id().0);
        assert_eq!([number(7), number(100), number(9), number(7)], [Some(1), Some(0), Some(2), Some(1)]);
        assert_eq!((number(13), BLOCKS.count()), (None, 3));
        assert_eq!(BLOCKS.find(9).map(|block| block.id()), Some(CpuId(2)));
        assert!(BLOCKS.find(8).is_none() && BLOCKS.get(3).is_none());
    }
}
