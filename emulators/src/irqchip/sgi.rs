//! Software-generated interrupts: one CPU of a guest calls others.

use isa_gic::gicd::{self, decode_sgir};
use isa_gic::v3::{self, decode_sgi};

use super::lanes::bits;
use super::state::{Caller, CpuIndex, Gic, Intid, Version};

/// Which register asked (GICv3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Asked {
    /// ICC_SGI0R_EL1, ICC_ASGI1R_EL1: for group 0.
    Group0,
    /// ICC_SGI1R_EL1: for either group, since there is one security state.
    AnyGroup,
}

/// A write of `value` to ICC_SGI1R_EL1 or a sibling by CPU `by` (IHI 0069, 12.2.19 and 12.1.10).
pub(super) fn send_v3(gic: &mut Gic, by: usize, asked: Asked, value: u64) {
    let (targets, number) = decode_sgi(value);
    let Some(sgi) = Intid::new(number) else { return };
    gic.caller = Caller::Access(CpuIndex::new(by));
    for target in 0..gic.cpus.len() {
        let Some(cpu) = gic.cpus.get(target) else { break };
        let meant = targets.contains(cpu.affinity) && (targets != v3::SgiTargets::Others || target != by);
        if meant && (asked == Asked::AnyGroup || cpu.private.group1 & sgi.mask() == 0) {
            gic.send(0, target, sgi);
        }
    }
    gic.caller = Caller::Nobody;
}

/// A write of `value` to GICD_SGIR by CPU `by` (IHI 0048B, 4.3.15).
pub(super) fn send_v2(gic: &mut Gic, by: usize, value: u32) {
    debug_assert_eq!(gic.version, Version::V2);
    let Some((targets, number)) = decode_sgir(value) else { return };
    let Some(sgi) = Intid::new(number) else { return };
    let own = 1 << (by & 7);
    let list = match targets {
        gicd::SgiTargets::List(mask) => mask,
        gicd::SgiTargets::Others => !own,
        gicd::SgiTargets::Own => own,
    };
    for target in bits(list.into()) {
        gic.send((by & 7) as u8, target as usize, sgi);
    }
}
