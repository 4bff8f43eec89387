//! A guest's memory map: what the second stage of translation (Priv, "Two-Stage Address Translation") adds to
//! the map that all architectures have. It is in the largest mode that the hart has.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use addr::{Hpa, PAGE_SIZE};
use arch_api::{IrqsOff, NoVirt, Rights, Stale};
use arch_parts::guest_map::{GuestMap, GuestRegime};
use isa_paging::{RvAttributes, RvFormat, RvMemory, RvMode};

use crate::csr::{get, set};
use crate::{Riscv64, cpu, sbi};

/// The mode's field in `hgatp`; 0 before it was chosen.
static MODE: AtomicU8 = AtomicU8::new(0);
/// VMIDs that exist on all harts, 0 included.
static VMIDS: AtomicU64 = AtomicU64::new(VMID_MASK + 1);
/// Where the VMID stands in `hgatp`, and its greatest width.
const VMID_SHIFT: u32 = 44;
const VMID_MASK: u64 = (1 << 14) - 1;
/// Pages above which everything of a guest is forgotten at once.
const MANY: u64 = 64;

fn format() -> Option<RvFormat> {
    let chosen = MODE.load(Ordering::Relaxed);
    RvMode::ALL.into_iter().find(|mode| mode.field() == u64::from(chosen)).map(RvFormat::guest)
}

/// The mode's name, for a table.
pub(super) fn name() -> &'static str {
    match format().map(RvFormat::mode) {
        Some(RvMode::Sv57) => "Sv57x4",
        Some(RvMode::Sv48) => "Sv48x4",
        Some(RvMode::Sv39) => "Sv39x4",
        None => "are not possible",
    }
}

/// Prepares this CPU. The first one chooses the mode for all, which the others must have, and there are as many VMIDs
/// as all have, since guests go from one to another: `hgatp` keeps what it can of what is written to it.
pub(super) fn enable() -> Result<(), NoVirt> {
    let keeps = |value: u64| {
        // SAFETY: no guest runs, and no translation of one is asked for.
        unsafe { set!("hgatp", value) };
        get!("hgatp")
    };
    let mode = RvMode::ALL
        .into_iter()
        .filter(|mode| [0, mode.field()].contains(&MODE.load(Ordering::Relaxed).into()))
        .find(|mode| keeps(mode.field() << 60) >> 60 == mode.field())
        .ok_or(NoVirt("the hart lacks the translation for guests, or that of the first hart (hgatp)"))?;
    let vmids = (keeps(mode.field() << 60 | VMID_MASK << VMID_SHIFT) >> VMID_SHIFT & VMID_MASK) + 1;
    MODE.store(mode.field() as u8, Ordering::Relaxed);
    VMIDS.fetch_min(vmids, Ordering::Relaxed);
    keeps(0);
    close_own_tables();
    fence_all();
    Ok(())
}

/// Forgets everything of all guests on this hart.
fn fence_all() {
    // SAFETY: maintenance of what is remembered of guests.
    unsafe {
        core::arch::asm!(
            ".option push",
            ".option arch, +h",
            "hfence.gvma",
            "hfence.vvma",
            ".option pop",
            options(nostack)
        );
    }
}

/// No tables of a guest's own are left to be walked. A hart may walk those that `vsatp` names while we run (Priv,
/// "Virtual Supervisor Address Translation and Protection Register"): so they go before `hgatp` names another guest,
/// under whose VMID it would be remembered what they say.
pub(super) fn close_own_tables() {
    // SAFETY: no guest runs until the register is loaded.
    unsafe { set!("vsatp", 0) };
}

/// Forgets what the loaded guest's own tables said, on this hart.
fn fence_own_tables() {
    // SAFETY: as above, for the VMID in `hgatp`.
    unsafe {
        core::arch::asm!(".option push", ".option arch, +h", "hfence.vvma", ".option pop", options(nostack));
    }
}

/// A guest's memory map.
pub type GStage = GuestMap<Riscv64>;

/// No guest's map is left to be walked on this CPU.
pub(super) fn unload() {
    // SAFETY: no guest runs until the next one is loaded.
    unsafe { set!("hgatp", 0) };
}

impl GuestRegime for Riscv64 {
    type Format = RvFormat;

    fn format() -> Option<RvFormat> {
        format()
    }

    fn attributes(rights: Rights) -> RvAttributes {
        let (write, execute) = match rights {
            Rights::Memory => (true, true),
            Rights::Constant => (false, true),
            Rights::Registers => (true, false),
        };
        RvAttributes { write, execute, memory: RvMemory::Physical }
    }

    fn vmids() -> u64 {
        VMIDS.load(Ordering::Relaxed)
    }

    fn processors() -> usize {
        cpu::BLOCKS.count()
    }

    fn register(format: &RvFormat, root: Hpa, vmid: u64) -> u64 {
        format.register(root, vmid as u16)
    }

    fn order() {
        // SAFETY: a barrier.
        unsafe { core::arch::asm!("fence w, w", options(nostack, preserves_flags)) };
    }

    fn publish(register: Option<u64>, virt: u64, len: u64) {
        // An implementation may remember that nothing was mapped.
        if let Some(register) = register {
            Self::invalidate(register, virt, len);
        }
    }

    fn invalidate(hgatp: u64, virt: u64, len: u64) {
        let vmid = hgatp >> VMID_SHIFT & VMID_MASK;
        let _masked = IrqsOff::<Riscv64>::now();
        let many = len / PAGE_SIZE > MANY;
        if cpu::others() {
            // The firmware makes the same fence on the asking hart.
            let (from, length) = if many { (0, u64::MAX) } else { (virt, len) };
            sbi::fence_everywhere(sbi::Fence::GuestPhysicalVmid, from, length, vmid);
            return;
        }
        // SAFETY: maintenance of what is remembered of guests.
        unsafe {
            core::arch::asm!("fence w, w", options(nostack, preserves_flags));
            if many {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.gvma zero, {}", ".option pop",
                    in(reg) vmid, options(nostack)
                );
            } else {
                for page in 0..len / PAGE_SIZE {
                    core::arch::asm!(
                        ".option push", ".option arch, +h", "hfence.gvma {}, {}", ".option pop",
                        in(reg) (virt + page * PAGE_SIZE) >> 2, in(reg) vmid, options(nostack)
                    );
                }
            }
        }
    }

    fn load(hgatp: u64, _masked: &IrqsOff<Self>) {
        // SAFETY: guests' translations are not ours.
        unsafe { set!("hgatp", hgatp) };
    }

    fn forget_own_tables(_masked: &IrqsOff<Self>) {
        fence_own_tables();
    }

    fn forget_all(_masked: &IrqsOff<Self>) {
        fence_all();
    }

    fn forget(hgatp: u64, what: Stale) {
        let (from, length, asid) = match what {
            Stale::Instructions => {
                // SAFETY: a barrier.
                unsafe { core::arch::asm!("fence.i", options(nostack)) };
                if cpu::others() {
                    sbi::fence_everywhere(sbi::Fence::Instructions, 0, 0, 0);
                }
                return;
            }
            Stale::Addresses { from, length, space } => (from, length, space),
        };
        let _masked = IrqsOff::<Riscv64>::now();
        // The one that is loaded may be another's since the call.
        let own = get!("hgatp");
        let tables = (own != hgatp).then(|| get!("vsatp"));
        if tables.is_some() {
            close_own_tables();
            // SAFETY: `hgatp` names whose entries go; it is put back before a guest could run.
            unsafe { set!("hgatp", hgatp) };
        }
        if cpu::others() {
            let (from, length) = if length / PAGE_SIZE > MANY { (0, u64::MAX) } else { (from, length) };
            match asid {
                Some(asid) => sbi::fence_everywhere(sbi::Fence::GuestVirtualAsid, from, length, asid.into()),
                None => sbi::fence_everywhere(sbi::Fence::GuestVirtual, from, length, 0),
            };
        } else {
            fence_addresses(from, length, asid);
        }
        if let Some(tables) = tables {
            // SAFETY: as it was.
            unsafe {
                set!("hgatp", own);
                set!("vsatp", tables);
            }
        }
    }
}

/// HFENCE.VVMA over a range of addresses of the guest in `hgatp`, on this hart.
fn fence_addresses(from: u64, length: u64, asid: Option<u16>) {
    if length / PAGE_SIZE > MANY {
        match asid {
            // SAFETY: maintenance of what is remembered of guests.
            Some(asid) => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma zero, {}", ".option pop",
                    in(reg) u64::from(asid), options(nostack)
                );
            },
            None => fence_own_tables(),
        }
        return;
    }
    let first = from & !(PAGE_SIZE - 1);
    let pages = (from - first).saturating_add(length).div_ceil(PAGE_SIZE);
    for page in 0..pages {
        let at = first.wrapping_add(page * PAGE_SIZE);
        match asid {
            // SAFETY: as above.
            Some(asid) => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma {}, {}", ".option pop",
                    in(reg) at, in(reg) u64::from(asid), options(nostack)
                );
            },
            // SAFETY: as above.
            None => unsafe {
                core::arch::asm!(
                    ".option push", ".option arch, +h", "hfence.vvma {}, zero", ".option pop",
                    in(reg) at, options(nostack)
                );
            },
        }
    }
}
