//! What a guest's interrupt controller knows: a pure state machine, without locks and hardware.
//!
//! Interrupts are kept in blocks of 32, one bit of each property in one word, as the registers show
//! them: reading a register is a load, and what can be delivered follows from a few operations on
//! whole words. An interrupt that was given to the hardware is *held*: from then on the hardware knows
//! better than we how far the guest is with it, until the next exchange (see `exchange`).

use alloc::vec::Vec;

use arch::{Held, SlotState};
use atomic::Arc;
use isa_gic::v3::Affinity;

use super::block::{Block, Groups};
use super::lanes::bits;
use super::pins::{Bell, Inputs, Place};

/// Bits of a priority that exist; the architecture's least number for virtual interrupts is five.
pub(super) const PRIORITY_MASK: u8 = 0xf8;
/// The first shared interrupt.
pub(super) const FIRST_SPI: u32 = 32;
/// Numbers from here on are special.
pub(super) const FIRST_SPECIAL: u32 = 1020;

/// Which architecture the guest sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Version {
    /// IHI 0048B.
    V2,
    /// IHI 0069.
    V3,
}

/// An interrupt's number as the guest knows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Intid(u16);

impl Intid {
    /// Number `id`, unless it is a special one or an LPI.
    pub(super) fn new(id: u32) -> Option<Self> {
        u16::try_from(id).ok().filter(|_| id < FIRST_SPECIAL).map(Self)
    }
    /// Interrupt `bit` of block `word`.
    pub(super) fn at(word: usize, bit: u32) -> Self {
        Self(u16::try_from(word * 32).unwrap_or(0) | (bit & 31) as u16)
    }
    /// The number.
    pub(super) fn get(self) -> u32 {
        self.0.into()
    }
    /// The block that it is in; block 0 is each CPU's own.
    pub(super) fn word(self) -> usize {
        usize::from(self.0 / 32)
    }
    /// Its place in the block.
    pub(super) fn bit(self) -> u32 {
        u32::from(self.0 % 32)
    }
    /// Its place in the block, as a mask.
    pub(super) fn mask(self) -> u32 {
        1 << self.bit()
    }
    /// Whether it is software-generated.
    pub(super) fn is_sgi(self) -> bool {
        self.0 < 16
    }
}

/// A virtual CPU by its index, or none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct CpuIndex(u16);

impl CpuIndex {
    /// No CPU.
    pub(super) const NOBODY: Self = Self(u16::MAX);
    /// CPU `index`; nobody when there can be no such CPU.
    pub(super) fn new(index: usize) -> Self {
        u16::try_from(index).map_or(Self::NOBODY, Self)
    }
    /// The index; beyond every vector when it is nobody.
    pub(super) fn get(self) -> usize {
        self.0.into()
    }
}

/// On whose behalf the controller does something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Caller {
    /// A device, or the machine.
    Nobody,
    /// A CPU that reads or writes a register: it looks at its interrupts before it goes on, if told to.
    Access(CpuIndex),
    /// A CPU that looks at its interrupts right now.
    Exchange(CpuIndex),
}

/// Who holds an interrupt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holder {
    /// The virtual CPU.
    pub(super) cpu: CpuIndex,
    /// Which of its slots.
    pub(super) slot: u8,
}

/// What a CPU's hardware was given, and what the guest ordered about it since.
#[derive(Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) id: Intid,
    pub(super) state: SlotState,
    /// The sending CPU of a GICv2 SGI.
    pub(super) source: u8,
    /// The host interrupt that the guest's end deactivates.
    pub(super) behind: Option<u32>,
    /// A write to GICD_ISACTIVER (`true`) or GICD_ICACTIVER, not carried out yet.
    pub(super) activate: Option<bool>,
}

/// How far a CPU is that reads a register about what its own hardware holds: it is told to look first, looks,
/// and reads again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Look {
    /// It was told to look.
    Asked,
    /// It looked because of that, and was not in its guest since.
    Fresh,
    /// What was seen may be out of date.
    Past,
}

/// One virtual CPU, as its interrupt controller sees it.
pub(super) struct Cpu {
    /// Its own interrupts 0 to 31.
    pub(super) private: Block,
    /// GICv2: who sent the pending SGIs, one bit per CPU.
    pub(super) sources: [u8; 16],
    /// What it calls itself.
    pub(super) affinity: Affinity,
    /// The guest woke the redistributor (GICR_WAKER), so interrupts for any CPU may go here.
    pub(super) awake: bool,
    /// What its hardware holds.
    pub(super) slots: [Slot; Held::MAX],
    /// Which slots are in use.
    pub(super) given: u16,
    /// Which of them must be looked at in the next exchange.
    pub(super) review: u16,
    /// Slots that the hardware may still use although we took everything back.
    pub(super) stale: u16,
    /// The host interrupt behind the CPU's timer.
    pub(super) behind: Option<u32>,
    /// Whether it is about to read how far it is with its interrupts.
    pub(super) look: Look,
    /// How it is called.
    pub(super) bell: Arc<Bell>,
}

impl Cpu {
    fn new(index: usize, affinity: Affinity, bell: Arc<Bell>) -> Self {
        Self {
            private: Block::new(CpuIndex::new(index)),
            sources: [0; 16],
            affinity,
            awake: false,
            slots: [Slot::default(); Held::MAX],
            given: 0,
            review: 0,
            stale: u16::MAX,
            behind: None,
            look: Look::Past,
            bell,
        }
    }
}

/// A guest's interrupt controller.
pub(super) struct Gic {
    pub(super) version: Version,
    pub(super) cpus: Vec<Cpu>,
    /// Shared interrupts: block 1 and on.
    pub(super) spis: Vec<Block>,
    pub(super) inputs: Arc<Inputs>,
    pub(super) groups: Groups,
    /// Each CPU's timer interrupt.
    pub(super) timer: Intid,
    /// Which blocks of shared interrupts have something ready.
    ready: u32,
    /// On whose behalf something is done now.
    pub(super) caller: Caller,
}

impl Gic {
    /// One for CPUs with these affinities, as after reset. `inputs` says how many shared interrupts.
    pub(super) fn new(version: Version, affinities: &[Affinity], timer: Intid, inputs: Arc<Inputs>) -> Self {
        let cpu = |(index, (&affinity, bell)): (usize, (&Affinity, &Arc<Bell>))| {
            Cpu::new(index, affinity, bell.clone())
        };
        let mut gic = Self {
            version,
            cpus: affinities.iter().zip(inputs.bells()).enumerate().map(cpu).collect(),
            spis: (0..inputs.words()).map(|_| Block::new(CpuIndex::NOBODY)).collect(),
            inputs,
            groups: Groups::default(),
            timer,
            ready: 0,
            caller: Caller::Nobody,
        };
        gic.reset();
        gic
    }

    /// As after power-on. Input levels stay what they are: they belong to the devices.
    pub(super) fn reset(&mut self) {
        self.groups = Groups::default();
        self.ready = 0;
        for (index, cpu) in self.cpus.iter_mut().enumerate() {
            let (affinity, bell) = (cpu.affinity, cpu.bell.clone());
            *cpu = Cpu::new(index, affinity, bell);
            // SGIs are edges.
            cpu.private.edge = 0xffff;
            cpu.private.level = self.inputs.restart(Place::Private(index));
            cpu.bell.stir();
        }
        for (word, block) in self.spis.iter_mut().enumerate() {
            *block = Block::new(CpuIndex::NOBODY);
            block.level = self.inputs.restart(Place::Shared(word));
        }
        self.retarget(|_| true);
    }

    /// Takes what CPU `cpu`'s hardware holds back: the CPU starts anew, with an empty interface. What it
    /// had not taken stays pending, what it had taken stays active, as on a processor that was off. Its timer
    /// is off.
    pub(super) fn reset_cpu(&mut self, cpu: usize) {
        let timer = self.timer.mask();
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        own.private.set_input(timer, false);
        own.behind = None;
        let given = core::mem::take(&mut own.given);
        own.review = 0;
        own.stale = u16::MAX;
        own.bell.stir();
        for slot in bits(given.into()) {
            self.release(cpu, slot);
        }
    }

    /// Blocks of interrupts, the private one included.
    pub(super) fn words(&self) -> usize {
        self.spis.len() + 1
    }

    /// Block `word` as CPU `cpu` sees it.
    #[inline]
    pub(super) fn block(&mut self, cpu: usize, word: usize) -> Option<&mut Block> {
        match word.checked_sub(1) {
            None => self.cpus.get_mut(cpu).map(|cpu| &mut cpu.private),
            Some(shared) => self.spis.get_mut(shared),
        }
    }

    /// An interrupt that was ready is held now.
    pub(super) fn unready(&mut self, cpu: usize, id: Intid) {
        let Some(shared) = id.word().checked_sub(1) else {
            if let Some(own) = self.cpus.get_mut(cpu) {
                own.private.ready &= !id.mask();
            }
            return;
        };
        if let Some(block) = self.spis.get_mut(shared) {
            block.ready &= !id.mask();
            if block.ready == 0 {
                self.ready &= !(1 << (shared & 31));
            }
        }
    }

    /// Blocks of shared interrupts that have something ready, as a mask.
    pub(super) fn ready_blocks(&self) -> u32 {
        self.ready
    }

    /// Something about the interrupts `mask` of a block changed: has it looked at wherever they are.
    pub(super) fn changed(&mut self, cpu: usize, word: usize, mask: u32) {
        self.disturb(cpu, word, mask);
        self.refresh(cpu, word);
    }

    /// Has the holders of held interrupts look at them again.
    #[inline]
    pub(super) fn disturb(&mut self, cpu: usize, word: usize, mask: u32) {
        let Some(held) = self.block(cpu, word).map(|block| block.held & mask) else { return };
        if held != 0 {
            self.disturb_held(cpu, word, held);
        }
    }

    fn disturb_held(&mut self, cpu: usize, word: usize, held: u32) {
        for bit in bits(held) {
            let Some(holder) = self.block(cpu, word).map(|block| *block.holder.at(bit)) else { return };
            if let Some(holding) = self.cpus.get_mut(holder.cpu.get()) {
                holding.review |= 1 << (holder.slot & 15);
            }
            self.call(holder.cpu);
        }
    }

    /// Has a CPU look at its interrupts.
    pub(super) fn call(&self, cpu: CpuIndex) {
        let Some(bell) = self.cpus.get(cpu.get()).map(|cpu| &cpu.bell) else { return };
        match self.caller {
            Caller::Exchange(own) if own == cpu => {}
            Caller::Access(own) if own == cpu => bell.stir(),
            _ => bell.ring(),
        }
    }

    /// Derives again what of a block is ready, and calls whom it concerns.
    pub(super) fn refresh(&mut self, cpu: usize, word: usize) {
        let groups = self.groups;
        let Some(shared) = word.checked_sub(1) else {
            let Some(own) = self.cpus.get_mut(cpu) else { return };
            if own.private.settle_watched(groups, &self.inputs, Place::Private(cpu)) != 0 {
                self.call(CpuIndex::new(cpu));
            }
            return;
        };
        let Some(block) = self.spis.get_mut(shared) else { return };
        let newly = block.settle_watched(groups, &self.inputs, Place::Shared(shared));
        // There are 31 blocks at most.
        let summary = 1 << (shared & 31);
        self.ready = if block.ready != 0 { self.ready | summary } else { self.ready & !summary };
        for bit in bits(newly) {
            let Some(target) = self.spis.get(shared).map(|block| *block.target.at(bit)) else { return };
            self.call(target);
        }
    }

    /// Learns what the lines of shared interrupts did, and those of CPU `cpu`'s own.
    #[inline]
    pub(super) fn drain(&mut self, cpu: usize) {
        self.drain_shared();
        if self.inputs.have_own_news(cpu) {
            self.drain_own(cpu);
        }
    }

    #[cold]
    fn drain_own(&mut self, cpu: usize) {
        let Some(own) = self.cpus.get_mut(cpu) else { return };
        let changed = own.private.drain(&self.inputs, Place::Private(cpu));
        self.changed(cpu, 0, changed);
    }

    /// Learns what the lines of shared interrupts did.
    #[inline]
    pub(super) fn drain_shared(&mut self) {
        if self.inputs.have_news() {
            self.drain_news();
        }
    }

    #[inline(never)]
    fn drain_news(&mut self) {
        for shared in bits(self.inputs.take_news()) {
            let Some(block) = self.spis.get_mut(shared as usize) else { return };
            let changed = block.drain(&self.inputs, Place::Shared(shared as usize));
            self.changed(0, shared as usize + 1, changed);
        }
    }

    /// Whether what is known about what CPU `cpu`'s hardware holds is true right now. Otherwise the CPU is to
    /// exchange, and to ask again; the answer then is yes, once.
    pub(super) fn is_settled(&mut self, cpu: usize) -> bool {
        let Some(own) = self.cpus.get_mut(cpu) else { return true };
        let settled = own.given == 0 || own.look == Look::Fresh;
        own.look = if settled { Look::Past } else { Look::Asked };
        settled
    }

    /// Sends an SGI to `target`; `source` counts on GICv2 alone.
    pub(super) fn send(&mut self, source: u8, target: usize, sgi: Intid) {
        let Some(cpu) = self.cpus.get_mut(target) else { return };
        if self.version == Version::V2
            && let Some(sources) = cpu.sources.get_mut(sgi.get() as usize)
        {
            *sources |= 1 << (source & 7);
        }
        let (block, mask) = (&mut cpu.private, sgi.mask());
        block.latch |= mask;
        // What disturbing its holder, which is that CPU itself, and settling the block would do: nothing else of
        // it changed.
        let newly = if block.held & mask != 0 {
            cpu.review |= 1 << (block.holder.at(sgi.bit()).slot & 15);
            mask
        } else {
            block.allowed & mask & !block.ready
        };
        block.ready |= newly & !block.held;
        if newly != 0 {
            self.call(CpuIndex::new(target));
        }
    }

    /// Switches groups on and off.
    pub(super) fn set_groups(&mut self, groups: Groups) {
        if groups == self.groups {
            return;
        }
        self.groups = groups;
        for cpu in 0..self.cpus.len() {
            self.changed(cpu, 0, u32::MAX);
        }
        for word in 1..self.words() {
            self.changed(0, word, u32::MAX);
        }
    }
}
