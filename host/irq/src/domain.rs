//! A published chip and its table of lines.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use arch::{Cpu, CpuId, IrqsOff, Machine};
use atomic::{Arc, AtomicU64, Ordering};
use host_sync::{IrqOff, MAX_CPUS, Once, Spin};

use crate::LineError;
use crate::chip::{Chip, Outcome, Trigger};
use crate::slot::{NOBODY, Slot};

/// A published chip.
pub struct Domain {
    chip: Arc<dyn Chip>,
    node: u32,
    base: u32,
    slots: Box<[Slot]>,
    /// For each CPU that came up: how often each interrupt came there since start-up.
    counts: Box<[Once<Box<[AtomicU64]>>]>,
}

/// The chip that the vector asks.
static ROOT: Once<Arc<Domain>> = Once::new();
/// All chips, in the order of their numbers; they are never taken back.
static ALL: Spin<Vec<Arc<Domain>>, IrqOff> = Spin::new(Vec::new());

/// Publishes a controller, under the phandle of its node. The first one is the root; the handler of a
/// cascaded one calls [`Domain::dispatch`] for each interrupt that it claimed itself.
pub fn publish(chip: Arc<dyn Chip>, node: u32) -> Result<Arc<Domain>, LineError> {
    let slots: Box<[Slot]> = (0..chip.lines()).map(|_| Slot::default()).collect();
    if !chip.reaches(Machine::id(&IrqsOff::now())) {
        for slot in &slots {
            slot.affinity.store(NOBODY, Ordering::Relaxed);
        }
    }
    let mut all = ALL.lock();
    if all.iter().any(|domain| domain.node == node) {
        return Err(LineError::PublishedTwice(node));
    }
    let base = all.last().map_or(0, |last| last.base.saturating_add(last.lines()));
    let counts = (0..MAX_CPUS).map(|_| Once::new()).collect();
    let domain = Arc::new(Domain { chip, node, base, slots, counts });
    domain.count_here(&IrqsOff::now());
    all.push(domain.clone());
    drop(all);
    // A cascaded chip finds the root there already.
    let _ = ROOT.set(domain.clone());
    Ok(domain)
}

/// What the cells of an `interrupts` property mean, whose interrupt parent has the phandle `node`: the
/// line's number over all chips, and how it is triggered.
pub fn translate(node: u32, cells: &[u32]) -> Result<(u32, Trigger), LineError> {
    let domain = ALL.lock().iter().find(|domain| domain.node == node).cloned().ok_or(LineError::Later)?;
    let (own, trigger) = domain.chip.translate(cells).map_err(|_| LineError::BadSpecifier)?;
    if own < domain.lines() { Ok((domain.base + own, trigger)) } else { Err(LineError::NoSuchLine(own)) }
}

/// Prepares a further CPU, on that CPU: its part of every chip, and the lines that each CPU has for
/// itself and that somebody took.
///
/// # Errors
/// What a chip misses on this CPU.
pub fn start_cpu(masked: &IrqsOff) -> Result<(), String> {
    let domains = ALL.lock().clone();
    for domain in domains {
        domain.chip.start_cpu(masked)?;
        domain.count_here(masked);
        domain.take_up(Machine::id(masked));
        for (own, slot) in (0..).zip(&domain.slots) {
            if slot.enabled.load(Ordering::Relaxed) && domain.chip.is_per_cpu(own) {
                if let Some(trigger) = slot.owner.read_masked(masked, |owner| owner.map(|it| it.trigger)) {
                    domain.chip.set_trigger(own, trigger);
                }
                domain.chip.enable(own);
            }
        }
    }
    Ok(())
}

/// The asking CPU stops: its part of every chip falls silent.
pub fn stop_cpu(masked: &IrqsOff) {
    let domains = ALL.lock().clone();
    for domain in domains {
        domain.chip.stop_cpu(masked);
    }
}

/// Sends interrupt `irq` (a number over all chips) to `cpu`, which is online.
///
/// # Errors
/// There is no such interrupt, each CPU has it for itself, or its controller does not reach that one.
pub fn set_affinity(irq: u32, cpu: CpuId) -> Result<(), LineError> {
    let (domain, own) = find(irq)?;
    if domain.chip.is_per_cpu(own) {
        return Err(LineError::PerCpu(irq));
    }
    if !domain.chip.reaches(cpu) {
        return Err(LineError::OutOfReach(irq, cpu));
    }
    domain.send_to(own, cpu);
    Ok(())
}

/// `cpu` stops: what goes to it goes to one of `heirs` from now on, to the first that the controller reaches.
///
/// # Errors
/// Somebody has an interrupt whose controller reaches none of them; nothing has changed then.
pub fn leave_cpu(cpu: CpuId, heirs: &[CpuId]) -> Result<(), LineError> {
    let domains = ALL.lock().clone();
    let heir = |domain: &Domain| heirs.iter().copied().find(|heir| domain.chip.reaches(*heir));
    for domain in domains.iter().filter(|domain| heir(domain).is_none()) {
        for (own, slot) in domain.lines_to(cpu) {
            if let Some(owner) = slot.owner.read(|owner| owner.map(|owner| owner.name.clone())) {
                return Err(LineError::NoHeir(domain.line(own), owner));
            }
        }
    }
    for domain in domains {
        let heir = heir(&domain);
        for (own, slot) in domain.lines_to(cpu) {
            match heir {
                Some(heir) => domain.send_to(own, heir),
                None => slot.affinity.store(NOBODY, Ordering::Relaxed),
            }
        }
    }
    Ok(())
}

/// The line by which CPUs interrupt each other, over all chips; `None` when the hardware has none.
pub fn ipi() -> Option<u32> {
    let root = root()?;
    root.chip.ipi().map(|own| root.line(own))
}

/// Interrupts another CPU, by the line of [`ipi`]. Takes no lock.
#[inline]
pub fn send_ipi(masked: &IrqsOff, cpu: CpuId) {
    if let Some(root) = root() {
        root.chip.send_ipi(masked, cpu);
    }
}

/// What is known about one line that somebody has, or that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineStats {
    /// Its number over all chips.
    pub irq: u32,
    /// The chip's name.
    pub chip: String,
    /// Its number at the chip.
    pub own: u32,
    /// Who has it; empty when nobody does.
    pub name: String,
    /// How often it came.
    pub count: u64,
    /// How often on each CPU, by number.
    counts: Vec<u64>,
    /// How it is triggered.
    pub trigger: Option<Trigger>,
    /// Whether it may come.
    pub enabled: bool,
    /// The CPU that it goes to; `None` when each has it for itself, or none is up to which it could go.
    pub affinity: Option<CpuId>,
}

impl LineStats {
    /// How often it came on `cpu`.
    pub fn of(&self, cpu: CpuId) -> u64 {
        self.counts.get(cpu.0 as usize).copied().unwrap_or(0)
    }
}

/// All lines that somebody has, or that came; not those by which another controller waits in vain, of which there can
/// be as many as that one has itself.
pub fn stats() -> Vec<LineStats> {
    let domains = ALL.lock().clone();
    let mut lines = Vec::new();
    for domain in &domains {
        for (own, slot) in (0..).zip(&domain.slots) {
            let owner = slot.owner.read(|owner| owner.map(|owner| (owner.name.clone(), owner.trigger)));
            let counts: Vec<u64> = domain.counts_of(own).collect();
            let count = counts.iter().sum();
            let waits = |(name, _): &(String, Trigger)| domains.iter().any(|other| other.chip.name() == name);
            if count == 0 && owner.as_ref().is_none_or(waits) {
                continue;
            }
            let (name, trigger) =
                owner.map_or((String::new(), None), |(name, trigger)| (name, Some(trigger)));
            lines.push(LineStats {
                irq: domain.base + own,
                chip: String::from(domain.chip.name()),
                own,
                name,
                count,
                counts,
                trigger,
                enabled: slot.enabled.load(Ordering::Relaxed),
                affinity: (!domain.chip.is_per_cpu(own))
                    .then(|| slot.affinity.load(Ordering::Relaxed))
                    .filter(|cpu| *cpu != NOBODY)
                    .map(CpuId),
            });
        }
    }
    lines
}

/// The chip that the vector asks.
#[inline]
pub(crate) fn root() -> Option<&'static Arc<Domain>> {
    ROOT.get()
}

/// The chip that has this line, and the line's number there.
pub(crate) fn find(irq: u32) -> Result<(Arc<Domain>, u32), LineError> {
    let all = ALL.lock();
    all.iter()
        .find_map(|domain| {
            let own = irq.checked_sub(domain.base)?;
            (own < domain.lines()).then(|| (domain.clone(), own))
        })
        .ok_or(LineError::NoSuchLine(irq))
}

impl Domain {
    /// Handles an interrupt that the chip claimed, by the chip's own number, and ends it.
    #[inline]
    pub fn dispatch(&self, masked: &IrqsOff, own: u32) {
        let counts = self.counts.get(Machine::id(masked).0 as usize).and_then(Once::get);
        if let Some(count) = counts.and_then(|counts| counts.get(own as usize)) {
            // Nobody else writes it.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        }
        let slot = self.slot(own);
        match slot.and_then(|slot| slot.run(masked, own)) {
            Some(Outcome::Done) => self.chip.end(masked, own),
            Some(Outcome::Keep) => {
                if let Some(slot) = slot {
                    slot.kept.store(true, Ordering::Relaxed);
                }
                self.chip.drop_priority(masked, own);
            }
            None => self.unexpected(masked, own),
        }
    }

    /// Silences a line that nobody has: as a level it would come for ever.
    #[cold]
    fn unexpected(&self, masked: &IrqsOff, own: u32) {
        self.chip.disable(own);
        self.chip.end(masked, own);
        host_log::warn!("{}: interrupt {own} came, which nobody has; it is off now", self.chip.name());
    }

    /// Makes the asking CPU's counters.
    fn count_here(&self, masked: &IrqsOff) {
        if let Some(counts) = self.counts.get(Machine::id(masked).0 as usize) {
            counts.get_or_init(|| (0..self.lines()).map(|_| AtomicU64::new(0)).collect());
        }
    }

    /// How often an interrupt came, on each CPU by number, up to the last one that came up.
    fn counts_of(&self, own: u32) -> impl Iterator<Item = u64> + '_ {
        let last = self.counts.iter().rposition(|counts| counts.get().is_some()).map_or(0, |last| last + 1);
        self.counts.iter().take(last).map(move |counts| {
            let count = counts.get().and_then(|counts| counts.get(own as usize));
            count.map_or(0, |count| count.load(Ordering::Relaxed))
        })
    }

    /// Says which CPU an interrupt goes to, by the chip's own number.
    pub(crate) fn send_to(&self, own: u32, cpu: CpuId) {
        self.chip.set_affinity(own, cpu);
        if let Some(slot) = self.slot(own) {
            slot.affinity.store(cpu.0, Ordering::Relaxed);
        }
    }

    /// The lines that go to one CPU, by the chip's own numbers.
    fn lines_to(&self, cpu: CpuId) -> impl Iterator<Item = (u32, &Slot)> {
        let there = move |slot: &Slot| slot.affinity.load(Ordering::Relaxed) == cpu.0;
        (0..).zip(&self.slots).filter(move |(own, slot)| there(slot) && !self.chip.is_per_cpu(*own))
    }

    /// `cpu` is up: what nobody could get goes to it, if the chip reaches it.
    fn take_up(&self, cpu: CpuId) {
        if self.chip.reaches(cpu) {
            for (own, _) in self.lines_to(CpuId(NOBODY)) {
                self.send_to(own, cpu);
            }
        }
    }

    /// The line's number over all chips.
    pub fn line(&self, own: u32) -> u32 {
        self.base.saturating_add(own)
    }

    /// The chip.
    #[inline]
    pub fn chip(&self) -> &dyn Chip {
        &*self.chip
    }

    pub(crate) fn slot(&self, own: u32) -> Option<&Slot> {
        self.slots.get(own as usize)
    }

    fn lines(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }
}
