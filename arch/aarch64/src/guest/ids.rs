//! What a guest reads of the ID registers (group 3: op0 = 3, op1 = 0, CRn = 0, CRm = 1 to 7).
//!
//! A vCPU runs on any CPU, so guests see what all CPUs have. Each is asked when it comes up. As long as there is a vCPU,
//! nothing that its guest may have read is taken back: a CPU that has less is refused then.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use arch_api::NoVirt;
use arch_parts::promises::Promises;
use isa_a64::id::{GuestFeatures, id_common, id_policy};
use isa_a64::sysreg::SysReg;

use crate::registers::get;

/// CRm 1 to 7, op2 0 to 7. Zero for guests without GICv3; the field for that is added when it is read.
static GUEST: [AtomicU64; 56] = [const { AtomicU64::new(0) }; 56];
/// Who relies on them: the virtual CPUs that there are.
static PROMISES: Promises = Promises::new();

/// ID_AA64PFR0_EL1.GIC
const PFR0_GIC: u64 = 1 << 24;
/// ID_AA64PFR0_EL1's place in the table: CRm 4, op2 0.
const PFR0: usize = 3 * 8;
/// ID_PFR1_EL1's, with GIC at 28: CRm 1, op2 1.
const PFR1: usize = 1;

/// ID_AA64ISAR1_EL1's and ID_AA64ISAR2_EL1's: CRm 6, op2 1 and 2.
const ISAR1: usize = 5 * 8 + 1;
const ISAR2: usize = 5 * 8 + 2;

/// Reads those of the first CPU and works out what guests see. It has all of that.
pub(super) fn read_first() -> Vec<&'static str> {
    each_of_this_cpu(|_, place, seen| set(place, seen));
    Vec::new()
}

/// Reads those of another CPU, and takes from what guests see what it does not have. Says in which registers that was
/// something.
///
/// # Errors
/// It has less than guests that are there were told.
pub(super) fn read_further() -> Result<Vec<&'static str>, NoVirt> {
    let mut less = Vec::new();
    each_of_this_cpu(|register, place, seen| {
        let common = id_common(register, get_seen(place), seen);
        if common != get_seen(place) {
            less.push((register, place, common));
        }
    });
    if !less.is_empty() {
        let narrow = || less.iter().for_each(|(_, place, common)| set(*place, *common));
        PROMISES.change(narrow).ok_or(NoVirt(
            "the processor has less than the guests that are there were told of the others (ID registers)",
        ))?;
    }
    Ok(less.iter().filter_map(|(register, ..)| register.name()).collect())
}

/// One more virtual CPU is made: what guests see stays until [`release`].
pub(super) fn promise() {
    PROMISES.give(core::hint::spin_loop);
}

/// A virtual CPU is gone.
pub(super) fn release() {
    PROMISES.release();
}

/// Whether all CPUs have the keys of pointer authentication, and use them alike.
pub(super) fn have_keys() -> bool {
    super::state::Keys::are_in(get_seen(ISAR1), get_seen(ISAR2))
}

fn get_seen(place: usize) -> u64 {
    GUEST.get(place).map_or(0, |slot| slot.load(Ordering::Relaxed))
}

fn set(place: usize, seen: u64) {
    if let Some(slot) = GUEST.get(place) {
        slot.store(seen, Ordering::Relaxed);
    }
}

/// Calls `tell` with each register, its place in the table, and what a guest would read if all CPUs were like this one.
fn each_of_this_cpu(mut tell: impl FnMut(SysReg, usize, u64)) {
    macro_rules! row {
        ($crm:literal) => {
            [
                get!(concat!("S3_0_C0_C", $crm, "_0")),
                get!(concat!("S3_0_C0_C", $crm, "_1")),
                get!(concat!("S3_0_C0_C", $crm, "_2")),
                get!(concat!("S3_0_C0_C", $crm, "_3")),
                get!(concat!("S3_0_C0_C", $crm, "_4")),
                get!(concat!("S3_0_C0_C", $crm, "_5")),
                get!(concat!("S3_0_C0_C", $crm, "_6")),
                get!(concat!("S3_0_C0_C", $crm, "_7")),
            ]
        };
    }
    let host = [row!("1"), row!("2"), row!("3"), row!("4"), row!("5"), row!("6"), row!("7")];
    let pfr0 = get!("id_aa64pfr0_el1");
    let features = GuestFeatures {
        gic_v3: false,
        pauth: super::state::Keys::are_in(get!("id_aa64isar1_el1"), get!("id_aa64isar2_el1")),
        sve: false,
        mte: false,
        pmu: false,
        aarch32_el0: pfr0 & 0xf == 2,
        pa_range: super::space::pa_range(),
    };
    for (crm, row) in (1u32..).zip(host) {
        for (op2, value) in (0u32..).zip(row) {
            let register = SysReg::new(3, 0, 0, crm, op2);
            tell(register, place(crm, op2), id_policy(register, value, &features));
        }
    }
}

const fn place(crm: u32, op2: u32) -> usize {
    (crm as usize).wrapping_sub(1) * 8 + op2 as usize
}

/// What a guest reads; zero for what does not exist.
pub(super) fn value(register: SysReg, gic_v3: bool) -> u64 {
    let place = place(register.crm(), register.op2());
    let value = get_seen(place);
    match place {
        PFR0 if gic_v3 => value | PFR0_GIC,
        PFR1 if gic_v3 && value != 0 => value | 1 << 28,
        _ => value,
    }
}
