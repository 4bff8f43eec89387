//! A guest's memory map: what stage 2 translation (DDI 0487, D8.2) adds to the map that all architectures have.

use core::sync::atomic::{AtomicU8, Ordering};

use addr::{Hpa, PAGE_SIZE};
use arch_api::{IrqsOff, NoVirt, Rights};
use arch_parts::guest_map::{GuestMap, GuestRegime};
use isa_paging::{
    Execute, Permission, Shareability, Stage2Attributes, Stage2Memory, VmsaStage2, pa_range_bits,
};

use crate::registers::{dsb, get, isb, set};
use crate::{Aarch64, cpu};

/// Bits of a guest-physical address, where the hardware has them: two concatenated tables of level 1.
const WANTED_BITS: u32 = 40;
/// This CPU's ID_AA64MMFR0_EL1.PARange, as far as 48-bit tables reach.
pub(super) fn pa_range() -> u8 {
    (get!("id_aa64mmfr0_el1") & 0xf).min(5) as u8
}

/// That of the first CPU, for which all tables are made; 0 (32 bits) until it is known.
static FIRST_PA_RANGE: AtomicU8 = AtomicU8::new(0);

fn format() -> Option<VmsaStage2> {
    let range = FIRST_PA_RANGE.load(Ordering::Relaxed);
    VmsaStage2::new(pa_range_bits(range).min(WANTED_BITS), range)
}

/// Prepares this CPU, the first one or a further one.
pub(super) fn enable(is_first: bool) -> Result<(), NoVirt> {
    if is_first {
        FIRST_PA_RANGE.store(pa_range(), Ordering::Relaxed);
    }
    let bits = |range| pa_range_bits(range).min(WANTED_BITS);
    if bits(pa_range()) < bits(FIRST_PA_RANGE.load(Ordering::Relaxed)) {
        return Err(NoVirt("its physical addresses are narrower than the first processor's"));
    }
    let format = format().ok_or(NoVirt("the processor's physical addresses are too narrow for stage 2"))?;
    // SAFETY: no guest runs yet; stage 2 is switched on by HCR_EL2.VM at the first entry.
    unsafe {
        set!("vtcr_el2", format.vtcr());
        set!("vttbr_el2", 0);
        core::arch::asm!("isb", "tlbi alle1", "dsb nsh", "isb", options(nostack));
    }
    Ok(())
}

/// A guest's memory map.
pub type Stage2 = GuestMap<Aarch64>;

impl GuestRegime for Aarch64 {
    type Format = VmsaStage2;

    fn format() -> Option<VmsaStage2> {
        format()
    }

    fn attributes(rights: Rights) -> Stage2Attributes {
        let (memory, permission, execute) = match rights {
            Rights::Memory => (Stage2Memory::NormalWriteBack, Permission::ReadWrite, Execute::Allowed),
            Rights::Constant => (Stage2Memory::NormalWriteBack, Permission::Read, Execute::Allowed),
            Rights::Registers => (Stage2Memory::DeviceNGnRE, Permission::ReadWrite, Execute::Never),
        };
        Stage2Attributes { memory, permission, execute, shareability: Shareability::Inner }
    }

    fn vmids() -> u64 {
        // 8 bits wide on every implementation.
        256
    }

    fn processors() -> usize {
        cpu::BLOCKS.count()
    }

    fn register(_format: &VmsaStage2, root: Hpa, vmid: u64) -> u64 {
        root.get() | vmid << 48
    }

    fn order() {
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("dmb ishst", options(nostack, preserves_flags)) };
    }

    fn publish(_register: Option<u64>, _virt: u64, _len: u64) {
        // What is not valid is never remembered.
        dsb();
    }

    fn invalidate(vttbr: u64, virt: u64, len: u64) {
        let _masked = IrqsOff::<Aarch64>::now();
        let own = get!("vttbr_el2");
        // SAFETY: VTTBR_EL2 names whose entries go; it is put back before a guest could run.
        unsafe {
            set!("vttbr_el2", vttbr);
            isb();
            dsb();
            let pages = len / PAGE_SIZE;
            if pages <= 64 {
                for page in 0..pages {
                    let at = (virt >> 12) + page;
                    core::arch::asm!("tlbi ipas2e1is, {}", in(reg) at, options(nostack));
                }
                dsb();
                // What stage 1 and 2 together were cached as.
                core::arch::asm!("tlbi vmalle1is", options(nostack));
            } else {
                core::arch::asm!("tlbi vmalls12e1is", options(nostack));
            }
            dsb();
            isb();
            set!("vttbr_el2", own);
            isb();
        }
    }

    fn load(vttbr: u64, _masked: &IrqsOff<Self>) {
        // SAFETY: guests' translations are not ours.
        unsafe { set!("vttbr_el2", vttbr) };
        isb();
    }

    fn forget_own_tables(_masked: &IrqsOff<Self>) {
        // SAFETY: TLB maintenance for this VMID, on this CPU.
        unsafe { core::arch::asm!("tlbi vmalle1", "dsb nsh", "isb", options(nostack)) };
    }

    fn forget_all(_masked: &IrqsOff<Self>) {
        // SAFETY: TLB maintenance for all guests, on this CPU.
        unsafe { core::arch::asm!("tlbi alle1", "dsb nsh", "isb", options(nostack)) };
    }
}
