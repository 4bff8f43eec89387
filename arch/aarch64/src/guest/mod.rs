//! Virtual CPUs: guests at EL1 and EL0.
//!
//! | file | subject |
//! |---|---|
//! | `enter` | the way in and out, in assembly |
//! | `hcr` | what traps |
//! | `vcpu` | the contract's virtual CPU |
//! | `settle` | what an exception from a guest means |
//! | `abort` | accesses to what is not memory |
//! | `state` | the registers of EL1 and of the vector unit |
//! | `lists` | interrupts, through list registers |
//! | `ids` | what a guest reads of the ID registers |
//! | `space` | stage 2 translation, VMIDs |

mod abort;
mod enter;
mod hcr;
mod ids;
mod lists;
mod settle;
mod space;
mod state;
mod vcpu;

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

pub(crate) use hcr::HCR_HOST;
pub use space::Stage2;
pub(crate) use vcpu::State;
pub use vcpu::VirtualCpu;

use arch_api::{Clock, CpuId, IrqsOff, LocalIrqs, Nanos, NoVirt, Virt, VirtualInterface};

use crate::registers::{get, isb, set};
use crate::{Aarch64, cpu, icc};

/// Whose registers are in a CPU's hardware.
pub(crate) type Loaded = arch_parts::resident::Loaded<State>;

/// CPTR_EL2 of the non-VHE form (DDI 0487, D24.2.34): its reserved ones, traps for SVE, SME, trace and
/// the activity monitors; none for the vector registers, which are switched with the guest.
const CPTR: u64 = 0x33ff & !(1 << 10) | 1 << 20 | 1 << 30;
/// MDCR_EL2: debug registers, debug identity, OS lock and performance monitors trap.
const MDCR: u64 = 1 << 11 | 1 << 10 | 1 << 9 | 1 << 6 | 1 << 5;

/// The first CPU was prepared.
static ENABLED: AtomicBool = AtomicBool::new(false);

impl Virt for Aarch64 {
    type Vcpu = VirtualCpu;
    type Space = Stage2;
    const KERNEL_MAGIC: [u8; 4] = *b"ARM\x64";

    fn enable(_masked: &IrqsOff<Self>) -> Result<Vec<&'static str>, NoVirt> {
        let is_first = !ENABLED.swap(true, Ordering::SeqCst);
        space::enable(is_first)?;
        let less = if is_first { ids::read_first() } else { ids::read_further()? };
        let counters = get!("id_aa64dfr0_el1") >> 8 & 0xf;
        let own = if (1..15).contains(&counters) { get!("pmcr_el0") >> 11 & 0x1f } else { 0 };
        // SAFETY: these registers say what traps from EL1; our own execution does not depend on them.
        unsafe {
            set!("cptr_el2", CPTR);
            set!("mdcr_el2", MDCR | own);
            set!("hstr_el2", 0);
        }
        if get!("id_aa64mmfr0_el1") >> 56 & 0xf != 0 {
            // FEAT_FGT: no fine-grained traps. HFGRTR, HFGWTR, HFGITR, HDFGRTR, HDFGWTR.
            // SAFETY: as above.
            unsafe {
                set!("S3_4_C1_C1_4", 0);
                set!("S3_4_C1_C1_5", 0);
                set!("S3_4_C1_C1_6", 0);
                set!("S3_4_C3_C1_4", 0);
                set!("S3_4_C3_C1_5", 0);
            }
        }
        if get!("id_aa64mmfr1_el1") >> 40 & 0xf != 0 {
            // FEAT_HCX: HCRX_EL2; what it would allow is hidden from guests.
            // SAFETY: as above.
            unsafe { set!("S3_4_C1_C2_2", 0) };
        }
        isb();
        Ok(less)
    }

    fn use_interface(masked: &IrqsOff<Self>, interface: VirtualInterface) {
        lists::use_interface(cpu::this(masked), interface);
    }

    fn evict(masked: &IrqsOff<Self>) {
        State::evict(cpu::this(masked));
    }

    #[inline]
    fn call_out(masked: &IrqsOff<Self>, target: CpuId) -> bool {
        let can = lists::are_processors();
        if can {
            Aarch64::send(masked, target, icc::CALL);
        }
        can
    }

    fn guest_timer_rang(masked: &IrqsOff<Self>, irq: u32) -> bool {
        // SAFETY: who is loaded lives and is where it was (`Home`).
        match unsafe { cpu::this(masked).loaded.get() } {
            Some(state) => {
                state.timer_rang(irq);
                true
            }
            None => false,
        }
    }

    fn interface_rang(masked: &IrqsOff<Self>) {
        let loaded = &cpu::this(masked).loaded;
        loaded.rang.set(true);
        // Nothing rings again before the list registers were looked at.
        lists::silence();
    }
}

/// The nanosecond at which the loaded guest's virtual timer rings; `None` when it does not.
fn timer_deadline(control: u64, compare: u64) -> Option<Nanos> {
    // CNTV_CTL_EL0: ENABLE set, IMASK clear.
    if control & 0b11 == 0b01 { Some(Aarch64::time_of(compare)) } else { None }
}
