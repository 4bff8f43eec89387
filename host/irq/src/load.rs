//! How much of each CPU's time goes to interrupts.

use arch::{Clock, CpuId, IrqsOff, Machine, Nanos};
use atomic::{AtomicU64, Ordering};
use host_sync::{MAX_CPUS, PerCpu};

/// Ticks of the clock's counter. Only the CPU itself adds to its own.
static SPENT: PerCpu<AtomicU64> = PerCpu::new([const { AtomicU64::new(0) }; MAX_CPUS]);

/// How long `cpu` handled interrupts until now.
pub fn time_of(cpu: CpuId) -> Nanos {
    Machine::time_of(SPENT.of(cpu).load(Ordering::Relaxed))
}

/// Adds what has passed since the counter was at `since`.
#[inline(always)]
pub(crate) fn add(masked: &IrqsOff, since: u64) {
    let spent = SPENT.get(masked);
    let sum = spent.load(Ordering::Relaxed).wrapping_add(Machine::ticks().wrapping_sub(since));
    spent.store(sum, Ordering::Relaxed);
}
