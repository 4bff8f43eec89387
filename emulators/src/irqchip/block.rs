//! Thirty-two interrupts: what the guest set, what the lines say, and what follows.

use isa_gic::gicd::ctlr;

use super::lanes::Lanes;
use super::pins::{Inputs, Place};
use super::state::{CpuIndex, Holder, Intid};

/// Which of the two interrupt groups are switched on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Groups {
    /// Group 0.
    pub(super) zero: bool,
    /// Group 1.
    pub(super) one: bool,
}

impl Groups {
    /// What GICD_CTLR says.
    pub(super) fn from_register(value: u32) -> Self {
        Self { zero: value & ctlr::ENABLE_GRP0 != 0, one: value & ctlr::ENABLE_GRP1 != 0 }
    }
    /// The fields of GICD_CTLR.
    pub(super) fn register(self) -> u32 {
        let field = |on, field| if on { field } else { 0 };
        field(self.zero, ctlr::ENABLE_GRP0) | field(self.one, ctlr::ENABLE_GRP1)
    }
}

/// 32 interrupts; bit n of every word is interrupt n of the block.
pub(super) struct Block {
    /// The guest enabled it.
    pub(super) enabled: u32,
    /// Group 1, not group 0.
    pub(super) group1: u32,
    /// Edge-triggered, not level-sensitive.
    pub(super) edge: u32,
    /// Pending by an edge, by software or by an SGI, and not in the hardware's hands.
    pub(super) latch: u32,
    /// The input is high.
    pub(super) level: u32,
    /// The guest works on it, as far as we know.
    pub(super) active: u32,
    /// In the hands of a CPU's hardware.
    pub(super) held: u32,
    /// Held, and pending there because of a latch.
    pub(super) latched: u32,
    /// Wants to get into hardware: what follows from all of the above.
    pub(super) ready: u32,
    /// Whether it is delivered when it becomes pending.
    pub(super) allowed: u32,
    /// 0 is the most urgent.
    pub(super) priority: Lanes<u8>,
    /// The CPU that gets it.
    pub(super) target: Lanes<CpuIndex>,
    /// What the guest wrote about where it goes: GICD_IROUTER, or a byte of GICD_ITARGETSR.
    pub(super) route: Lanes<u64>,
    /// Who holds it; true for held ones only.
    pub(super) holder: Lanes<Holder>,
}

impl Block {
    pub(super) fn new(target: CpuIndex) -> Self {
        Self {
            enabled: 0,
            group1: 0,
            edge: 0,
            latch: 0,
            level: 0,
            active: 0,
            held: 0,
            latched: 0,
            ready: 0,
            allowed: 0,
            priority: Lanes::new(0),
            target: Lanes::new(target),
            route: Lanes::new(0),
            holder: Lanes::new(Holder { cpu: CpuIndex::NOBODY, slot: 0 }),
        }
    }

    /// Pending because the input is high.
    pub(super) fn asserted(&self) -> u32 {
        self.level & !self.edge
    }

    /// Pending for whatever reason, in our hands or the hardware's.
    pub(super) fn pending(&self) -> u32 {
        self.latch | self.latched | self.asserted()
    }

    /// Sets the level of inputs; those that rise are edges.
    #[inline]
    pub(super) fn set_input(&mut self, mask: u32, level: bool) {
        if level {
            self.latch |= mask & self.edge & !self.level;
            self.level |= mask;
        } else {
            self.level &= !mask;
        }
    }

    /// Derives what follows from the state; says what newly wants to get into hardware.
    #[inline]
    pub(super) fn settle(&mut self, groups: Groups) -> u32 {
        let on = if groups.one { self.group1 } else { 0 } | if groups.zero { !self.group1 } else { 0 };
        self.allowed = self.enabled & on;
        let ready = !self.held & (self.active | (self.latch | self.asserted()) & self.allowed);
        let newly = ready & !self.ready;
        self.ready = ready;
        newly
    }

    /// As [`Block::settle`], and has the lines call for what is delivered now.
    pub(super) fn settle_watched(&mut self, groups: Groups, inputs: &Inputs, place: Place) -> u32 {
        let before = self.allowed;
        let mut newly = self.settle(groups);
        if self.allowed != before {
            // Who sets a pin that is not watched calls nobody, so we must look once more after saying
            // that we watch.
            inputs.watch(place, self.allowed);
            if self.allowed & !before != 0 {
                self.drain(inputs, place);
                newly |= self.settle(groups);
            }
        }
        newly
    }

    /// Takes over what the lines did; says which interrupts that concerns.
    pub(super) fn drain(&mut self, inputs: &Inputs, place: Place) -> u32 {
        let news = inputs.drain(place);
        self.level = self.level & !news.changed | news.level & news.changed;
        self.latch |= news.rose & self.edge;
        news.changed | news.rose
    }
}

/// The block of an interrupt, for who has both kinds at hand.
#[inline]
pub(super) fn block_of<'a>(
    private: &'a mut Block,
    spis: &'a mut [Block],
    id: Intid,
) -> Option<&'a mut Block> {
    match id.word().checked_sub(1) {
        None => Some(private),
        Some(shared) => spis.get_mut(shared),
    }
}
