//! Which CPU gets a shared interrupt: GICD_IROUTER (IHI 0069, 12.9.22), GICD_ITARGETSR (IHI 0048B, 4.3.12).

use isa_gic::v3::irouter;

use super::lanes::bits;
use super::state::{CpuIndex, Gic, Version};

impl Gic {
    /// Finds the CPU again for every shared interrupt whose route is such.
    pub(super) fn retarget(&mut self, concerned: impl Fn(u64) -> bool) {
        for word in 1..self.words() {
            for bit in 0..32 {
                let Some(block) = self.block(0, word) else { return };
                let route = *block.route.at(bit);
                if concerned(route) {
                    self.set_route(word, bit, route);
                }
            }
        }
    }

    /// Sends a shared interrupt another way.
    pub(super) fn set_route(&mut self, word: usize, bit: u32, route: u64) {
        let target = self.target_of(route);
        let Some(block) = word.checked_sub(1).and_then(|shared| self.spis.get_mut(shared)) else { return };
        *block.route.at_mut(bit) = route;
        let before = core::mem::replace(block.target.at_mut(bit), target);
        if before == target {
            return;
        }
        self.inputs.aim(word - 1, bit, target);
        let waiting = block.ready & 1 << bit != 0;
        self.disturb(0, word, 1 << bit);
        self.drain_shared();
        if waiting {
            self.call(target);
        }
    }

    fn target_of(&self, route: u64) -> CpuIndex {
        let found = match self.version {
            // A lone CPU has no target registers (IHI 0048B, 4.3.12).
            Version::V2 if self.cpus.len() == 1 => Some(0),
            Version::V2 => {
                bits((route & 0xff) as u32).map(|bit| bit as usize).find(|&cpu| cpu < self.cpus.len())
            }
            // Any CPU that takes part: the first that is awake.
            Version::V3 if route & irouter::ANY != 0 => {
                Some(self.cpus.iter().position(|cpu| cpu.awake).unwrap_or(0))
            }
            Version::V3 => self.cpus.iter().position(|cpu| cpu.affinity.mpidr() == route),
        };
        found.map_or(CpuIndex::NOBODY, CpuIndex::new)
    }
}
