//! The private blocks of all processors, by number.

use alloc::boxed::Box;
use core::cell::Cell;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};

use arch_api::{CpuId, MAX_CPUS, Nesting};

use crate::own_code::EmergencyStack;

/// What the block of every processor has.
#[derive(Debug)]
#[repr(C)]
pub struct Common {
    /// Where vectors find a good stack when ours may be exhausted. At offset 0.
    emergency_stack_top: Cell<usize>,
    /// The processor's number.
    pub id: CpuId,
    hardware_id: Cell<u64>,
    /// What guards count.
    pub nesting: Nesting,
    emergency_stack: &'static EmergencyStack,
}

impl Common {
    /// That of the processor which is called `id`.
    pub const fn new(id: CpuId, hardware_id: u64, emergency_stack: &'static EmergencyStack) -> Self {
        Self {
            emergency_stack_top: Cell::new(0),
            id,
            hardware_id: Cell::new(hardware_id),
            nesting: Nesting::new(),
            emergency_stack,
        }
    }

    /// As before the processor began: nothing masked by a guard, and the emergency stack unused.
    pub fn reset(&self) {
        self.emergency_stack_top.set(self.emergency_stack.top());
        self.nesting.restart();
    }

    /// The boot processor learns its hardware id, before anybody else can find the block.
    pub fn identify(&self, hardware_id: u64) {
        self.hardware_id.set(hardware_id);
    }

    /// Its hardware id: MPIDR, hart id.
    #[inline(always)]
    pub fn hardware_id(&self) -> u64 {
        self.hardware_id.get()
    }
}

/// What belongs to one CPU.
pub trait Block: Sync + Sized + 'static {
    /// What every block has.
    fn common(&self) -> &Common;
    /// That of a further CPU.
    fn new(common: Common) -> Self;
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
        let is_it = |block: &&B| block.common().hardware_id() == hardware_id;
        (0..self.count()).find_map(|cpu| self.get(cpu).filter(is_it))
    }

    /// [`arch_api::Processors::hardware_id_of`].
    #[inline]
    pub fn hardware_id_of(&self, cpu: CpuId) -> Option<u64> {
        self.get(cpu.0 as usize).map(|block| block.common().hardware_id())
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
        let id = CpuId(u32::try_from(count).ok()?);
        let block: &'static B =
            Box::leak(Box::new(B::new(Common::new(id, hardware_id, EmergencyStack::leaked()))));
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

    struct Cpu(Common);

    // SAFETY: one thread has them.
    unsafe impl Sync for Cpu {}

    impl Block for Cpu {
        fn common(&self) -> &Common {
            &self.0
        }
        fn new(common: Common) -> Self {
            Self(common)
        }
    }

    #[test]
    fn processors_are_numbered_as_they_come_and_keep_their_numbers() {
        static STACK: EmergencyStack = EmergencyStack::new();
        static FIRST: Cpu = Cpu(Common::new(CpuId(0), 0, &STACK));
        static BLOCKS: Blocks<Cpu> = Blocks::new();
        FIRST.0.identify(100);
        BLOCKS.first(&FIRST);
        let number = |hardware_id| BLOCKS.prepare(hardware_id, |block| block.common().id.0);
        assert_eq!([number(7), number(100), number(9), number(7)], [Some(1), Some(0), Some(2), Some(1)]);
        assert_eq!(BLOCKS.count(), 3);
        assert_eq!(BLOCKS.find(9).map(|block| block.common().id), Some(CpuId(2)));
        assert_eq!([0, 2, 3].map(|cpu| BLOCKS.hardware_id_of(CpuId(cpu))), [Some(100), Some(9), None]);
        assert!(BLOCKS.find(8).is_none() && BLOCKS.get(3).is_none());
    }
}
