//! Virtual CPUs: guests in VS and VU mode.
//!
//! | file | subject |
//! |---|---|
//! | `enter` | the way in and out, in assembly |
//! | `vcpu` | the contract's virtual CPU |
//! | `settle` | what a trap from a guest means |
//! | `access` | accesses to what is not memory, and to CSRs |
//! | `state` | the CSRs of VS mode, floating-point and vector registers |
//! | `units` | who has floating-point and vector registers in the hardware |
//! | `wires` | its interrupts: wires and timer |
//! | `tallies` | counts of its own of cycles and instructions |
//! | `waits` | what it waits for, and how |
//! | `files` | interrupt files for guests |
//! | `gstage` | the guest's memory map, VMIDs |

mod access;
mod enter;
pub(crate) mod files;
mod gstage;
mod settle;
mod state;
mod tallies;
mod units;
mod vcpu;
mod waits;
mod wires;

pub(crate) use files::Files;
pub use gstage::GStage;
pub(crate) use vcpu::State;
pub use vcpu::VirtualCpu;

use alloc::vec::Vec;

use arch_api::{CpuId, FilePage, IrqsOff, NoVirt, Virt, VirtualInterface};
use isa_rv::cause;
use isa_rv::extensions::Extension;

use crate::csr::{attempt, hstatus, pending, set};
use crate::{Riscv64, cpu, local};

/// Whose registers are in a CPU's hardware.
pub(crate) type Loaded = arch_parts::resident::Loaded<State>;

/// Exceptions that a guest takes itself: all that are its own affair. Not its calls, guest-page
/// faults and virtual instructions.
const OWN_EXCEPTIONS: u64 = 1 << cause::FETCH_MISALIGNED
    | 1 << cause::FETCH_ACCESS
    | 1 << cause::ILLEGAL
    | 1 << cause::BREAKPOINT
    | 1 << cause::LOAD_MISALIGNED
    | 1 << cause::LOAD_ACCESS
    | 1 << cause::STORE_MISALIGNED
    | 1 << cause::STORE_ACCESS
    | 1 << cause::CALL_FROM_USER
    | 1 << cause::FETCH_PAGE
    | 1 << cause::LOAD_PAGE
    | 1 << cause::STORE_PAGE
    | 1 << cause::SOFTWARE_CHECK;
/// Those of them that go to a guest directly (`hedeleg`). While it has no floating-point and vector registers, it can't be
/// told without looking whether an illegal instruction is one that uses them.
const fn own_exceptions(has_units: bool) -> u64 {
    if has_units { OWN_EXCEPTIONS } else { OWN_EXCEPTIONS & !(1 << cause::ILLEGAL) }
}

/// Interrupts that a guest takes itself (`hideleg`).
const OWN_INTERRUPTS: u64 = pending::VSSI | pending::VSTI | pending::VSEI;

/// `hcounteren`: the guest reads cycles, time and instructions retired of the hart; see `tallies`.
const COUNTERS: u64 = 0b111;

/// `henvcfg` (Priv, "Hypervisor Environment Configuration Register"). What the hart does not have stays zero.
pub(crate) mod envcfg {
    /// CBIE: CBO.INVAL acts as CBO.FLUSH, so that a guest cannot see what it lost.
    pub(super) const CBIE_FLUSH: u64 = 0b01 << 4;
    /// CBCFE: CBO.CLEAN and CBO.FLUSH.
    pub(super) const CBCFE: u64 = 1 << 6;
    /// CBZE: CBO.ZERO.
    pub(super) const CBZE: u64 = 1 << 7;
    /// PBMTE: Svpbmt.
    pub(crate) const PBMTE: u64 = 1 << 62;
    /// STCE: Sstc.
    pub(super) const STCE: u64 = 1 << 63;
}

/// `hstateen0` (Priv, "Smstateen"): what a guest reaches of the newer state.
mod stateen {
    /// `fcsr` of Zfinx.
    pub(super) const FCSR: u64 = 1 << 1;
    /// IMSIC: `stopei`, and `sireg` for a file's registers.
    pub(super) const FILE: u64 = 1 << 58;
    /// AIA: `stopi`.
    pub(super) const AIA: u64 = 1 << 59;
    /// CSRIND: `siselect` and `sireg`.
    pub(super) const INDIRECT: u64 = 1 << 60;
    /// `senvcfg`.
    pub(super) const ENVCFG: u64 = 1 << 62;
    /// `sstateen0`.
    pub(super) const SE0: u64 = 1 << 63;

    /// For a guest whose interrupt controller is reached through registers (IMSIC), or not.
    pub(super) const fn of(irq_registers: bool) -> u64 {
        let all = FCSR | ENVCFG | SE0;
        if irq_registers { all | FILE | AIA | INDIRECT } else { all }
    }
}

/// How guests are mapped here, for a table.
pub(crate) fn describe() -> &'static str {
    gstage::name()
}

impl Virt for Riscv64 {
    type Vcpu = VirtualCpu;
    type Space = GStage;
    const KERNEL_MAGIC: [u8; 4] = *b"RSC\x05";

    fn can_have_files() -> Result<(), NoVirt> {
        let has = cpu::has(Extension::Ssaia);
        if has { Ok(()) } else { Err(NoVirt("the harts lack the extension Ssaia")) }
    }

    fn enable(masked: &IrqsOff<Self>) -> Result<Vec<&'static str>, NoVirt> {
        gstage::enable()?;
        state::enable()?;
        let mut environment = envcfg::CBIE_FLUSH | envcfg::CBCFE | envcfg::CBZE;
        if cpu::has(Extension::Svpbmt) {
            environment |= envcfg::PBMTE;
        }
        if cpu::has(Extension::Sstc) {
            environment |= envcfg::STCE;
        }
        // SAFETY: these registers say what guests may do and what traps from them; our own execution does not
        // depend on them.
        unsafe {
            set!("hedeleg", OWN_EXCEPTIONS);
            set!("hideleg", OWN_INTERRUPTS);
            set!("hstatus", hstatus::VSXL_64);
            set!("hvip", 0);
            set!("hgeie", 0);
            set!("hcounteren", COUNTERS);
            set!("htimedelta", 0);
            set!("henvcfg", environment);
            if cpu::has(Extension::Ssaia) {
                set!("hvien", 0);
                set!("hvictl", 0);
                set!("hviprio1", 0);
                set!("hviprio2", 0);
            }
        }
        silence_timer(masked);
        cpu::this(masked).files.listen();
        Ok(Vec::new())
    }

    fn use_interface(masked: &IrqsOff<Self>, interface: VirtualInterface) {
        if let VirtualInterface::Files { first, count, highest } = interface {
            cpu::this(masked).files.set(first, count, highest);
        }
    }

    fn post(page: FilePage, identity: u32) {
        if page == FilePage::NOWHERE {
            return;
        }
        // SAFETY: who made the value promised that these are a file's registers, which a store makes pending there;
        // in order with what comes before and after.
        unsafe {
            core::arch::asm!(
                "fence rw, o",
                "sw {identity}, 0({page})",
                "fence o, rw",
                identity = in(reg) identity,
                page = in(reg) page.address(),
                options(nostack, preserves_flags),
            );
        }
    }

    fn evict(masked: &IrqsOff<Self>) {
        State::evict(cpu::this(masked));
    }

    #[inline]
    fn call_out(_masked: &IrqsOff<Self>, target: CpuId) -> bool {
        let target = cpu::BLOCKS.get(target.0 as usize);
        target.map(local::interrupt).is_some()
    }

    fn interface_rang(masked: &IrqsOff<Self>) {
        cpu::this(masked).files.rang();
    }
}

/// Keeps the guests' timer comparator from ringing. A hart may have one that nobody uses, since another hart has none:
/// QEMU's rings all the same, whatever `henvcfg` says. Where there is none, the fault is made harmless (see `traps`).
fn silence_timer(_masked: &IrqsOff<Riscv64>) {
    // SAFETY: no guest is loaded. The number is vstimecmp's, also for an assembler that does not know it.
    let _silenced = unsafe { attempt!("csrrw {value}, 0x24d, {operand}", u64::MAX) };
}
