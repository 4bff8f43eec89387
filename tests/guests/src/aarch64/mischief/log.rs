//! Talking too much in the hypervisor's log.

use crate::runtime::machine::machine;
use crate::runtime::mmio::{load32, store32};
use crate::runtime::registers::get;
use crate::runtime::{faults, firmware};

/// Does again and again what a hypervisor may want to say something about.
pub(super) fn run() {
    faults::tolerate(true);
    let distributor = machine().parts.gic.distributor();
    for round in 0_u64.. {
        load32(0x0b00_0000 + (round & 0xffff) * 4);
        store32(0x0c00_0000 + (round & 0xffff) * 4, 1);
        // Reserved in the distributor, and not there behind the UART's registers.
        store32(distributor + 0xf30, 1);
        store32(machine().uart + 0x800, 1);
        firmware::hvc([0x8600_ee00 | round & 0xff, round, 0, 0]);
        firmware::hvc_with_immediate([round, 0, 0, 0]);
        firmware::smc([0xb200_0000 | round & 0xffff, round, 0, 0]);
        let _ = get!("S3_4_C1_C1_0");
        let _ = get!("S3_7_C15_C0_0");
        let _ = get!("S2_0_C5_C5_5");
    }
}
