//! What a guest reads of the ID registers (group 3: op0 = 3, op1 = 0, CRn = 0, CRm = 1 to 7).

use core::sync::atomic::{AtomicU64, Ordering};

use isa_a64::id::{GuestFeatures, id_policy};
use isa_a64::sysreg::SysReg;

use crate::registers::get;

/// CRm 1 to 7, op2 0 to 7. Zero for guests without GICv3; the field for that is added when it is read.
static GUEST: [AtomicU64; 56] = [const { AtomicU64::new(0) }; 56];

/// ID_AA64PFR0_EL1.GIC
const PFR0_GIC: u64 = 1 << 24;
/// ID_AA64PFR0_EL1's place in the table: CRm 4, op2 0.
const PFR0: usize = 3 * 8;
/// ID_PFR1_EL1's, with GIC at 28: CRm 1, op2 1.
const PFR1: usize = 1;

/// Reads the host's and works out what guests see.
pub(super) fn read_host() {
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
        pauth: super::state::Keys::exist(),
        sve: false,
        mte: false,
        pmu: false,
        aarch32_el0: pfr0 & 0xf == 2,
        pa_range: super::space::pa_range() as u8,
    };
    for (crm, row) in (1u32..).zip(host) {
        for (op2, value) in (0u32..).zip(row) {
            let seen = id_policy(SysReg::new(3, 0, 0, crm, op2), value, &features);
            if let Some(slot) = GUEST.get(place(crm, op2)) {
                slot.store(seen, Ordering::Relaxed);
            }
        }
    }
}

const fn place(crm: u32, op2: u32) -> usize {
    (crm as usize).wrapping_sub(1) * 8 + op2 as usize
}

/// What a guest reads; zero for what does not exist.
pub(super) fn value(register: SysReg, gic_v3: bool) -> u64 {
    let place = place(register.crm(), register.op2());
    let value = GUEST.get(place).map_or(0, |slot| slot.load(Ordering::Relaxed));
    match place {
        PFR0 if gic_v3 => value | PFR0_GIC,
        PFR1 if gic_v3 && value != 0 => value | 1 << 28,
        _ => value,
    }
}
