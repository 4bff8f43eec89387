//! How interrupts get into a CPU's hardware and back.
//!
//! One exchange: *fold* back what the hardware says became of what it was given; *review* what was held
//! while something about it changed; *fill* free slots with the most urgent of what is ready; *answer*
//! with all of it. An interrupt is in one place at a time: either its pending state is ours (`latch`,
//! `level`), or it is in the slots of exactly one CPU (`held`). That is why none is lost or doubled.

use arch::{Held, IrqSlot, SlotState};

use super::lanes::bits;
use super::state::{Block, Caller, CpuIndex, Gic, Holder, Intid, PRIORITY_MASK, Slot, Version};

/// News about the CPU's own timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct TimerNews {
    /// The line's level.
    pub(super) level: bool,
    /// The host interrupt behind it, which is active.
    pub(super) behind: Option<u32>,
}

/// How urgent an interrupt is: less is more. What is active comes before all that is pending, since the
/// guest can only end what the hardware knows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Urgency(u32);

impl Urgency {
    fn of(block: &Block, id: Intid) -> Self {
        let waits = u32::from(block.active & id.mask() == 0);
        Self(waits << 31 | u32::from(*block.priority.at(id.bit())) << 16 | id.get())
    }
}

impl Gic {
    /// Exchanges what CPU `cpu`'s hardware holds for what it should hold.
    pub(super) fn exchange(&mut self, cpu: usize, timer: Option<TimerNews>, held: &mut Held) {
        self.caller = Caller::Exchange(CpuIndex::new(cpu));
        self.drain();
        self.fold(cpu, held);
        if let Some(news) = timer {
            self.timer(cpu, news);
        }
        self.review(cpu);
        let overflow = self.fill(cpu, held.slots().len());
        self.answer(cpu, held, overflow);
        self.caller = Caller::Nobody;
    }

    /// Takes over what became of each slot.
    fn fold(&mut self, cpu: usize, held: &mut Held) {
        let Some(own) = self.cpus.get(cpu) else { return };
        for number in bits(own.given.into()) {
            let now = held.slots().get(number as usize).map_or(SlotState::Empty, |slot| slot.state);
            let Some(own) = self.cpus.get_mut(cpu) else { return };
            let Some(slot) = own.slots.get_mut(number as usize) else { return };
            if slot.state == now {
                continue;
            }
            slot.state = now;
            own.review |= 1 << number;
            let (id, linked) = (slot.id, slot.behind.is_some());
            let Some(block) = self.block(cpu, id.word()) else { continue };
            // Whatever else it is now, the pending state that we gave was taken by the guest: from
            // "pending and active" both plain states say that one end or one start happened since.
            if !matches!(now, SlotState::Pending | SlotState::PendingActive) {
                block.latched &= !id.mask();
            }
            set(&mut block.active, id.mask(), matches!(now, SlotState::Active | SlotState::PendingActive));
            if now == SlotState::Empty {
                if linked {
                    // The hardware deactivated the host's interrupt. Should the line still be high, the
                    // host is interrupted again, and tells.
                    block.level &= !id.mask();
                    if let Some(own) = self.cpus.get_mut(cpu) {
                        own.behind = None;
                    }
                }
                self.release(cpu, number);
            }
        }
    }

    fn timer(&mut self, cpu: usize, news: TimerNews) {
        let id = self.timer;
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        own.behind = news.behind.filter(|_| news.level);
        let behind = own.behind;
        // What the guest has not taken yet ends as the line is now; what it works on, as it was then.
        if own.private.held & id.mask() != 0
            && let Some(slot) = own.slots.get_mut(usize::from(own.private.holder.at(id.bit()).slot))
            && slot.state == SlotState::Pending
        {
            slot.behind = behind;
        }
        self.set_private(cpu, id, news.level);
    }

    /// Looks again at held interrupts about which something changed.
    fn review(&mut self, cpu: usize) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        for number in bits((core::mem::take(&mut own.review) & own.given).into()) {
            let Some(slot) = self.cpus.get(cpu).and_then(|own| own.slots.get(number as usize)).copied() else { return };
            let version = self.version;
            let Some(block) = self.block(cpu, slot.id.word()) else { continue };
            let state = renewed(slot, block, CpuIndex::new(cpu), version);
            set(&mut block.active, slot.id.mask(), matches!(state, SlotState::Active | SlotState::PendingActive));
            if let Some(slot) = self.cpus.get_mut(cpu).and_then(|own| own.slots.get_mut(number as usize)) {
                slot.state = state;
                slot.activate = None;
            }
            match state {
                SlotState::Empty => self.release(cpu, number),
                SlotState::Active => self.reclaim(cpu, slot),
                SlotState::Pending | SlotState::PendingActive => self.merge(cpu, slot),
            }
        }
    }

    /// A slot is pending, which stands for a latch that was set meanwhile too.
    fn merge(&mut self, cpu: usize, slot: Slot) {
        if self.take_latch(cpu, slot.id, Some(slot.source)).is_some()
            && let Some(block) = self.block(cpu, slot.id.word())
        {
            block.latched |= slot.id.mask();
        }
    }

    /// A slot is not pending any more: a latch for which it was is ours again.
    fn reclaim(&mut self, cpu: usize, slot: Slot) {
        let version = self.version;
        let Some(block) = self.block(cpu, slot.id.word()) else { return };
        let latched = block.latched & slot.id.mask();
        block.latched &= !latched;
        block.latch |= latched;
        if latched != 0
            && version == Version::V2
            && let Some(own) = self.cpus.get_mut(cpu)
            && let Some(sources) = own.sources.get_mut(slot.id.get() as usize)
        {
            *sources |= 1 << (slot.source & 7);
        }
    }

    /// Takes a slot back. What was pending in it by a latch is pending in our hands again.
    pub(super) fn release(&mut self, cpu: usize, number: u32) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        own.given &= !(1 << number);
        own.review &= !(1 << number);
        let Some(slot) = own.slots.get_mut(number as usize).map(core::mem::take) else { return };
        self.reclaim(cpu, slot);
        let Some(block) = self.block(cpu, slot.id.word()) else { return };
        block.held &= !slot.id.mask();
        self.refresh(cpu, slot.id.word());
    }

    /// Fills the slots with the most urgent; says whether more is ready than fits.
    fn fill(&mut self, cpu: usize, count: usize) -> bool {
        let all = u16::try_from((1u32 << count.min(Held::MAX)) - 1).unwrap_or(u16::MAX);
        while let Some((urgency, id)) = self.most_urgent(cpu) {
            let Some(own) = self.cpus.get(cpu) else { return false };
            let free = !own.given & all;
            let number = if free != 0 {
                free.trailing_zeros()
            } else if let Some(number) = self.less_urgent(cpu, urgency) {
                self.release(cpu, number);
                number
            } else {
                return true;
            };
            self.give(cpu, number, id);
        }
        false
    }

    /// The most urgent interrupt that is ready for a CPU.
    #[inline]
    fn most_urgent(&self, cpu: usize) -> Option<(Urgency, Intid)> {
        let own = self.cpus.get(cpu)?;
        let mut best = None::<(Urgency, Intid)>;
        let mut consider = |block: &Block, id: Intid| {
            let urgency = Urgency::of(block, id);
            if best.is_none_or(|(least, _)| urgency < least) {
                best = Some((urgency, id));
            }
        };
        for bit in bits(own.private.ready) {
            consider(&own.private, Intid::at(0, bit));
        }
        for shared in bits(self.ready_blocks()) {
            let Some(block) = self.spis.get(shared as usize) else { break };
            for bit in bits(block.ready) {
                if block.target.at(bit).get() == cpu {
                    consider(block, Intid::at(shared as usize + 1, bit));
                }
            }
        }
        best
    }

    /// The slot with the least urgent interrupt that the guest has not taken, if that is less urgent.
    fn less_urgent(&mut self, cpu: usize, than: Urgency) -> Option<u32> {
        let given = self.cpus.get(cpu)?.given;
        let mut worst = None::<(Urgency, u32)>;
        for number in bits(given.into()) {
            let slot = *self.cpus.get(cpu)?.slots.get(number as usize)?;
            if slot.state != SlotState::Pending {
                continue;
            }
            let urgency = Urgency::of(self.block(cpu, slot.id.word())?, slot.id);
            if urgency > than && worst.is_none_or(|(most, _)| urgency > most) {
                worst = Some((urgency, number));
            }
        }
        worst.map(|(_, number)| number)
    }

    /// Puts an interrupt into a free slot.
    fn give(&mut self, cpu: usize, number: u32, id: Intid) {
        let source = self.take_latch(cpu, id, None);
        let timer = self.timer;
        let Some(block) = self.block(cpu, id.word()) else { return };
        let mask = id.mask();
        if source.is_some() {
            block.latched |= mask;
        }
        block.held |= mask;
        *block.holder.at_mut(id.bit()) = Holder { cpu: CpuIndex::new(cpu), slot: (number & 15) as u8 };
        let active = block.active & mask != 0;
        let state = match (active, source.is_some()) {
            (false, _) => SlotState::Pending,
            (true, false) => SlotState::Active,
            (true, true) => SlotState::PendingActive,
        };
        self.refresh(cpu, id.word());
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let behind = own.behind.filter(|_| id == timer && !active);
        if let Some(slot) = own.slots.get_mut(number as usize) {
            *slot = Slot { id, state, source: source.unwrap_or(0), behind, activate: None };
            own.given |= 1 << number;
        }
    }

    /// Takes the latch of an interrupt, if it is set and it may be delivered; for a GICv2 SGI one
    /// sender's part of it (that of `only`, if given). Says whose.
    fn take_latch(&mut self, cpu: usize, id: Intid, only: Option<u8>) -> Option<u8> {
        let version = self.version;
        let block = self.block(cpu, id.word())?;
        if block.latch & block.allowed & id.mask() == 0 {
            return None;
        }
        if version == Version::V2 && id.is_sgi() {
            let own = self.cpus.get_mut(cpu)?;
            let sources = own.sources.get_mut(id.get() as usize)?;
            let source = match only {
                Some(source) if *sources & 1 << (source & 7) == 0 => return None,
                Some(source) => source & 7,
                None => (sources.trailing_zeros() & 7) as u8,
            };
            *sources &= !(1 << source);
            if *sources == 0 {
                own.private.latch &= !id.mask();
            }
            return Some(source);
        }
        block.latch &= !id.mask();
        Some(0)
    }

    /// Writes down what the hardware should hold.
    fn answer(&mut self, cpu: usize, held: &mut Held, overflow: bool) {
        held.overflow = overflow;
        let Some(given) = self.cpus.get(cpu).map(|own| own.given) else { return };
        for number in 0..held.slots().len() {
            let Some(out) = held.slots().get_mut(number) else { return };
            if given & 1 << number == 0 {
                out.state = SlotState::Empty;
                continue;
            }
            let Some(slot) = self.cpus.get(cpu).and_then(|own| own.slots.get(number)).copied() else { return };
            let Some(block) = self.block(cpu, slot.id.word()) else { continue };
            let mask = slot.id.mask();
            // It came again in a form that the slot can't hold beside what it holds.
            let again = block.latch & block.allowed & mask != 0;
            let answer = IrqSlot {
                id: slot.id.get(),
                priority: *block.priority.at(slot.id.bit()) & PRIORITY_MASK,
                state: slot.state,
                behind: slot.behind,
                notify: slot.behind.is_none() && (overflow || again || block.asserted() & mask != 0),
                source: slot.source,
                group1: block.group1 & mask != 0,
            };
            if let Some(out) = held.slots().get_mut(number) {
                *out = answer;
            }
            if again && slot.behind.is_some() {
                // A slot that is linked can't notify: look again at each entry until it is over.
                if let Some(own) = self.cpus.get(cpu) {
                    own.bell.stir();
                }
            }
        }
    }
}

/// What a held interrupt's state should be, now that something about it changed.
fn renewed(slot: Slot, block: &Block, cpu: CpuIndex, version: Version) -> SlotState {
    let mask = slot.id.mask();
    let here = block.allowed & mask != 0 && *block.target.at(slot.id.bit()) == cpu;
    let active = slot.activate.unwrap_or(matches!(slot.state, SlotState::Active | SlotState::PendingActive));
    // A slot says one sender only, and a linked slot can't be active and pending.
    let doubles = slot.behind.is_none() && !(version == Version::V2 && slot.id.is_sgi());
    let latch = (block.latch | block.latched) & mask != 0;
    let pending = match slot.state {
        _ if active && slot.behind.is_some() => false,
        SlotState::Pending | SlotState::PendingActive => {
            latch && (doubles || block.latched & mask != 0) || !active && block.asserted() & mask != 0
        }
        // Once inactive, it goes back to our hands and is given anew.
        SlotState::Active | SlotState::Empty => active && doubles && latch,
    };
    match (here && pending, active) {
        (false, false) => SlotState::Empty,
        (true, false) => SlotState::Pending,
        (false, true) => SlotState::Active,
        (true, true) => SlotState::PendingActive,
    }
}

fn set(word: &mut u32, mask: u32, on: bool) {
    *word = if on { *word | mask } else { *word & !mask };
}
