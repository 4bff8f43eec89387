//! Talking too much in the hypervisor's log.

use crate::arch::firmware::ecall;
use crate::runtime::faults;
use crate::runtime::machine::machine;
use crate::runtime::mmio::{load32, load64, store8, store32};

/// Does again and again what a hypervisor may want to say something about.
pub(super) fn run() {
    faults::tolerate(true);
    let plic = machine().parts.plic.map_or(0x0c00_0000, |plic| plic.at);
    for round in 0_u64.. {
        load32(0x4000_0000 + (round & 0xffff) * 4);
        store32(0x5000_0000 + (round & 0xffff) * 4, 1);
        // Reserved, or of another width than there is.
        store32(plic + 0x1f_fff0, 1);
        store8(plic + 4, 1);
        load64(machine().uart);
        store32(machine().uart + 0x80, 1);
        ecall(0x0a00_0000 | round & 0xffff, round, [round; 6]);
        // SAFETY: CSRs of hypervisors and of machine mode, and one that nobody has: stepped over.
        unsafe {
            core::arch::asm!("csrr {0}, 0x600", "csrr {0}, 0x300", "csrr {0}, 0x5ff", out(reg) _);
        }
    }
}
