//! Data of which every CPU has its own.

use arch::{Cpu, CpuId, IrqsOff, MAX_CPUS, Machine};

/// One `T` for each CPU that there could be: keep it small, or a pointer. It is shared by reference only: give `T` cells that are atomic, or locks.
pub struct PerCpu<T>([T; MAX_CPUS]);

impl<T> PerCpu<T> {
    /// With these for all CPUs, in the order of their numbers: `PerCpu::new([const { … }; MAX_CPUS])`.
    pub const fn new(values: [T; MAX_CPUS]) -> Self {
        Self(values)
    }

    /// This CPU's own. The proof keeps the thread on this CPU while the reference lives.
    #[inline(always)]
    pub fn get<'a>(&'a self, masked: &'a IrqsOff) -> &'a T {
        self.of(Machine::id(masked))
    }

    /// That of `cpu`.
    ///
    /// # Panics
    /// When the number is not below [`MAX_CPUS`]; the architecture numbers CPUs densely.
    #[inline(always)]
    pub fn of(&self, cpu: CpuId) -> &T {
        &self.0[cpu.0 as usize]
    }
}
