//! Software-generated interrupts: one CPU of a guest calls others.

use isa_gic::gicd::{self, decode_sgir};
use isa_gic::v3::{self, decode_sgi};

use super::lanes::bits;
use super::state::{Gic, Intid, Version};

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
    let one = match targets {
        v3::SgiTargets::List { mask, .. } => mask & mask.wrapping_sub(1) == 0,
        v3::SgiTargets::Others => false,
    };
    if one
        && let Some(target) = likely(targets)
        && gic.is_meant(target, targets)
    {
        // Most calls are to one CPU, and most guests number their CPUs so.
        gic.send_if(target, sgi, asked);
        return;
    }
    send_to_many(gic, by, asked, targets, sgi);
}

/// The same for any targets. Apart, so that a call to one does not save registers for it.
#[inline(never)]
fn send_to_many(gic: &mut Gic, by: usize, asked: Asked, targets: v3::SgiTargets, sgi: Intid) {
    for target in 0..gic.cpus.len() {
        if gic.is_meant(target, targets) && (targets != v3::SgiTargets::Others || target != by) {
            gic.send_if(target, sgi, asked);
        }
    }
}

/// The CPU that is meant by a list of one, if CPUs are numbered 16 to a cluster.
#[inline]
fn likely(targets: v3::SgiTargets) -> Option<usize> {
    match targets {
        v3::SgiTargets::List { cluster, first: 0, mask } => {
            Some((cluster.packed() >> 4) as usize + mask.trailing_zeros() as usize)
        }
        _ => None,
    }
}

impl Gic {
    #[inline]
    fn is_meant(&self, cpu: usize, targets: v3::SgiTargets) -> bool {
        self.cpus.get(cpu).is_some_and(|cpu| targets.contains(cpu.affinity))
    }

    #[inline]
    fn send_if(&mut self, target: usize, sgi: Intid, asked: Asked) {
        let group1 = self.cpus.get(target).map_or(0, |cpu| cpu.private.group1 & sgi.mask());
        if asked == Asked::AnyGroup || group1 == 0 {
            self.send(0, target, sgi);
        }
    }
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
