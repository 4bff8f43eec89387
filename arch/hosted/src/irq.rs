//! Interrupts that tests raise.

use arch_api::CpuId;

use crate::cpu;

/// The processor of this test: what another thread of the operating system needs to interrupt it.
pub fn this_cpu() -> CpuId {
    cpu::here().id
}

/// Makes interrupt `irq` pending on this processor, and takes it at once if interrupts are on.
pub fn raise(irq: u32) {
    cpu::raise_on(cpu::here().id, irq);
    cpu::deliver();
}

/// Makes interrupt `irq` pending on processor `target`, from any thread.
pub fn raise_on(target: CpuId, irq: u32) {
    cpu::raise_on(target, irq);
}

/// Whether `irq` was claimed on this processor and not deactivated yet.
pub fn is_active(irq: u32) -> bool {
    cpu::here().is_active(irq)
}
