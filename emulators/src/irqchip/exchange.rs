//! How interrupts get into a CPU's hardware and back.
//!
//! One exchange: *fold* back what the hardware says became of what it was given; *review* what was held
//! while something about it changed; *fill* free slots with the most urgent of what is ready; *answer*
//! with all of it. An interrupt is in one place at a time: either its pending state is ours (`latch`,
//! `level`), or it is in the slots of exactly one CPU (`held`). That is why none is lost or doubled.

use arch::{Held, IrqSlot, SlotState};

use super::block::{Block, block_of};
use super::lanes::bits;
use super::state::{Caller, CpuIndex, Gic, Holder, Intid, Look, Slot, Version};

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
        self.drain(cpu);
        if let Some(own) = self.cpus.get_mut(cpu)
            && own.look == Look::Asked
        {
            own.look = Look::Fresh;
        }
        if self.alone(cpu, timer, held).is_none() {
            self.exchange_many(cpu, timer, held);
        }
        self.caller = Caller::Nobody;
    }

    /// The long way. Apart, so that the short one does not save registers for it.
    #[inline(never)]
    fn exchange_many(&mut self, cpu: usize, timer: Option<TimerNews>, held: &mut Held) {
        let before = self.fold(cpu, held.slots());
        if let Some(news) = timer {
            self.timer(cpu, news);
        }
        self.review(cpu);
        held.overflow = self.fill(cpu, held.count);
        self.answer(cpu, before, held);
    }

    /// The short way for what happens most often: at most one interrupt, one of the CPU's own, was in the
    /// hardware's hands, the guest has ended it, and at most one is to get there, again one of the CPU's own.
    /// Otherwise `None`, and nothing is done.
    #[inline]
    fn alone(&mut self, cpu: usize, timer: Option<TimerNews>, held: &mut Held) -> Option<()> {
        let others = self.ready_blocks();
        let own = self.cpus.get_mut(cpu)?;
        let (block, slot) = (&mut own.private, own.slots.first_mut()?);
        let out = held.slots.first_mut().filter(|_| held.count > 0)?;
        let ended = match own.given {
            0 => 0,
            1 if slot.id.word() == 0 && out.state == SlotState::Empty => slot.id.mask(),
            _ => return None,
        };
        if others | u32::from(own.stale) != 0 {
            return None;
        }
        // How things are when it is over. Nothing of the block is held then.
        let active = block.active & !ended;
        let (mut level, mut own_behind) = (block.level, own.behind);
        if ended != 0 && slot.behind.is_some() {
            level &= !ended;
            own_behind = None;
        }
        let behind = match timer {
            None => None,
            Some(TimerNews { level: true, behind: Some(behind) }) => {
                level |= self.timer.mask();
                own_behind = Some(behind);
                own_behind
            }
            // A line that falls, or a timer without a host interrupt behind it.
            Some(_) => return None,
        };
        let asserted = level & !block.edge;
        let ready = active | (block.latch | asserted) & block.allowed;
        let id = Intid::at(0, ready.trailing_zeros());
        let linked = behind.is_some();
        // One that is in several ways; or the timer, when it is not just that its line is up.
        if ready & ready.wrapping_sub(1) | active != 0
            || linked && (ready != self.timer.mask() || (block.latch | block.edge) & ready != 0)
            || !linked && ready == self.timer.mask()
            || self.version == Version::V2 && ready & 0xffff != 0
        {
            return None;
        }
        block.active = active;
        block.level = level;
        block.latched = block.latch & ready;
        block.latch &= !ready;
        block.held = ready;
        block.ready = 0;
        own.behind = own_behind;
        // What is over needs no second look.
        own.review = 0;
        held.written |= own.given;
        own.given = 0;
        if ready != 0 {
            held.written |= 1;
            own.given = 1;
            *block.holder.at_mut(id.bit()) = Holder { cpu: CpuIndex::new(cpu), slot: 0 };
            *slot = Slot { id, state: SlotState::Pending, source: 0, behind, activate: None };
            *out = IrqSlot {
                id: id.get(),
                priority: *block.priority.at(id.bit()),
                state: SlotState::Pending,
                behind,
                notify: !linked && asserted & ready != 0,
                source: 0,
                group1: block.group1 & ready != 0,
            };
        }
        held.overflow = false;
        Some(())
    }

    /// Takes over what became of each slot; says which were in use.
    #[inline]
    fn fold(&mut self, cpu: usize, held: &[IrqSlot]) -> u16 {
        let Some(own) = self.cpus.get(cpu) else { return 0 };
        let before = own.given;
        for number in bits(before.into()) {
            let now = held.get(number as usize).map_or(SlotState::Empty, |slot| slot.state);
            let slot = self.cpus.get(cpu).and_then(|own| own.slots.get(number as usize));
            if slot.is_some_and(|slot| slot.state != now) {
                self.fold_one(cpu, number, now);
            }
        }
        before
    }

    /// Takes over what became of one slot, which is not what it was.
    fn fold_one(&mut self, cpu: usize, number: u32, now: SlotState) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let Some(slot) = own.slots.get_mut(number as usize) else { return };
        slot.state = now;
        let Some(block) = block_of(&mut own.private, &mut self.spis, slot.id) else { return };
        let mask = slot.id.mask();
        // What was pending was taken, unless it still is.
        if !matches!(now, SlotState::Pending | SlotState::PendingActive) {
            block.latched &= !mask;
        }
        set(&mut block.active, mask, matches!(now, SlotState::Active | SlotState::PendingActive));
        if now == SlotState::Empty {
            if slot.behind.is_some() {
                // The hardware deactivated the host's interrupt. Should the line still be high, the host
                // is interrupted again, and tells.
                block.level &= !mask;
                own.behind = None;
            }
            self.release(cpu, number);
        }
    }

    fn timer(&mut self, cpu: usize, news: TimerNews) {
        let (groups, id) = (self.groups, self.timer);
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        own.behind = news.behind.filter(|_| news.level);
        own.private.set_input(id.mask(), news.level);
        if own.private.held & id.mask() == 0 {
            own.private.settle(groups);
            return;
        }
        let number = own.private.holder.at(id.bit()).slot;
        own.review |= 1 << (number & 15);
        // What the guest has not taken yet ends as the line is now; what it works on, as it was then.
        if let Some(slot) = own.slots.get_mut(usize::from(number))
            && slot.state == SlotState::Pending
        {
            slot.behind = own.behind;
        }
    }

    /// Looks again at held interrupts about which something changed.
    fn review(&mut self, cpu: usize) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        for number in bits((core::mem::take(&mut own.review) & own.given).into()) {
            let Some(slot) = self.cpus.get(cpu).and_then(|own| own.slots.get(number as usize)).copied()
            else {
                return;
            };
            let version = self.version;
            let Some(block) = self.block(cpu, slot.id.word()) else { continue };
            let state = renewed(slot, block, CpuIndex::new(cpu), version);
            set(
                &mut block.active,
                slot.id.mask(),
                matches!(state, SlotState::Active | SlotState::PendingActive),
            );
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
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let Some(block) = block_of(&mut own.private, &mut self.spis, slot.id) else { return };
        let latched = block.latched & slot.id.mask();
        block.latched &= !latched;
        block.latch |= latched;
        if latched != 0
            && self.version == Version::V2
            && let Some(sources) = own.sources.get_mut(slot.id.get() as usize)
        {
            *sources |= 1 << (slot.source & 7);
        }
    }

    /// Takes a slot back. What was pending in it by a latch is pending in our hands again.
    pub(super) fn release(&mut self, cpu: usize, number: u32) {
        let groups = self.groups;
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        own.given &= !(1 << number);
        own.review &= !(1 << number);
        let Some(&slot) = own.slots.get(number as usize) else { return };
        let Some(block) = block_of(&mut own.private, &mut self.spis, slot.id) else { return };
        block.held &= !slot.id.mask();
        if block.latched & slot.id.mask() != 0 {
            self.reclaim(cpu, slot);
        }
        if slot.id.word() == 0 {
            // Concerns this CPU alone, which looks at its interrupts now.
            if let Some(own) = self.cpus.get_mut(cpu) {
                own.private.settle(groups);
            }
        } else {
            self.refresh(cpu, slot.id.word());
        }
    }

    /// Fills the slots with the most urgent; says whether more is ready than fits.
    #[inline]
    fn fill(&mut self, cpu: usize, count: usize) -> bool {
        let all = every(count);
        loop {
            let Some(own) = self.cpus.get(cpu) else { return false };
            if own.private.ready | self.ready_blocks() == 0 {
                return false;
            }
            let free = !own.given & all;
            let Some((urgency, id)) = self.most_urgent(cpu) else { return false };
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
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let Some(block) = block_of(&mut own.private, &mut self.spis, id) else { return };
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
        let behind = own.behind.filter(|_| id == self.timer && !active);
        if let Some(slot) = own.slots.get_mut(number as usize) {
            *slot = Slot { id, state, source: source.unwrap_or(0), behind, activate: None };
            own.given |= 1 << number;
        }
        self.unready(cpu, id);
    }

    /// Takes the latch of an interrupt, if it is set and it may be delivered; for a GICv2 SGI one
    /// sender's part of it (that of `only`, if given). Says whose.
    fn take_latch(&mut self, cpu: usize, id: Intid, only: Option<u8>) -> Option<u8> {
        let own = self.cpus.get_mut(cpu)?;
        let block = block_of(&mut own.private, &mut self.spis, id)?;
        if block.latch & block.allowed & id.mask() == 0 {
            return None;
        }
        if self.version == Version::V3 || !id.is_sgi() {
            block.latch &= !id.mask();
            return Some(0);
        }
        let sources = own.sources.get_mut(id.get() as usize)?;
        let source = match only {
            Some(source) if *sources & 1 << (source & 7) == 0 => return None,
            Some(source) => source & 7,
            None => (sources.trailing_zeros() & 7) as u8,
        };
        *sources &= !(1 << source);
        if *sources == 0 {
            block.latch &= !id.mask();
        }
        Some(source)
    }

    /// Writes down what the hardware should hold, which held the slots `before` until now.
    #[inline]
    fn answer(&mut self, cpu: usize, before: u16, held: &mut Held) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let gone = (before | core::mem::take(&mut own.stale) & every(held.count)) & !own.given;
        held.written |= gone | own.given;
        let (overflow, held) = (held.overflow, held.slots());
        for number in bits(gone.into()) {
            if let Some(out) = held.get_mut(number as usize) {
                out.state = SlotState::Empty;
            }
        }
        for number in bits(own.given.into()) {
            let (Some(out), Some(slot)) = (held.get_mut(number as usize), own.slots.get(number as usize))
            else {
                continue;
            };
            let Some(block) = block_of(&mut own.private, &mut self.spis, slot.id) else { continue };
            let (mask, linked) = (slot.id.mask(), slot.behind.is_some());
            // It came again in a form that the slot can't hold beside what it holds.
            let again = block.latch & block.allowed & mask != 0;
            *out = IrqSlot {
                id: slot.id.get(),
                priority: *block.priority.at(slot.id.bit()),
                state: slot.state,
                behind: slot.behind,
                notify: !linked && (overflow | again | (block.asserted() & mask != 0)),
                source: slot.source,
                group1: block.group1 & mask != 0,
            };
            if again && linked {
                // A slot that is linked can't notify: look again at each entry until it is over.
                own.bell.stir();
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

/// A bit for each of `count` slots.
fn every(count: usize) -> u16 {
    u16::try_from((1u32 << count.min(Held::MAX)) - 1).unwrap_or(u16::MAX)
}

fn set(word: &mut u32, mask: u32, on: bool) {
    *word = if on { *word | mask } else { *word & !mask };
}
