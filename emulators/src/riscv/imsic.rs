//! Incoming MSI controllers (AIA 1.0, chapter 3): each CPU's file of interrupts. A message is a write of an identity to
//! the file's page; the CPU itself reaches its file by `stopei`, and by `sireg` where `siselect` names a register.
//!
//! Where a CPU runs on a hart with files for guests, one of those is its own ([`MessageFile`]), and nothing of this traps;
//! messages that come here all the same are passed on. Elsewhere an access to the registers is one exit to read, and one
//! more to write.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use addr::Gpa;
use arch::{FileImage, FilePage, Machine, MessageFile, RegisterId, Virt, Width};
use atomic::Arc;
use fdt::Node;
use host_sync::{IrqOff, Rank, Spin};
use isa_aia::imsic::{FILE_SIZE, MAX_IDENTITIES, Register, SETEIPNUM_BE, SETEIPNUM_LE, select, topei};
use isa_plic::SUPERVISOR_EXTERNAL;
use vio::irq::{IrqLine, Messages};
use vm_bus::{Access, Refused, Target};
use vm_machine::{Controller, Model, NotWired, Wires};

pub(crate) const MODEL: Model = Model { name: "imsic", compatible: &["riscv,imsics"], build };

const IDENTITIES: &str = "riscv,num-ids";
const HARTS: &str = "interrupts-extended";
const GUEST_BITS: &str = "riscv,guest-index-bits";
const HART_BITS: &str = "riscv,hart-index-bits";
const GROUP_BITS: &str = "riscv,group-index-bits";
/// `stopei` (AIA, 3.10).
const STOPEI: u32 = 0x15c;
/// Set in the number of a register that is reached through `siselect`; what that holds stands below.
const INDIRECT: u32 = 1 << 16;
/// What `siselect` holds for the priorities of a hart's own interrupts, 8 in each with an even number (AIA, 5.2).
const PRIORITIES: core::ops::RangeInclusive<u32> = 0x30..=0x3f;

fn build(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    if let Err(why) = Machine::can_have_files() {
        let text = format!("CPUs of guests can have no interrupt files here: {}", why.0);
        return Err(wires.error(Some("compatible"), text));
    }
    let highest = wires.number(IDENTITIES)?.ok_or_else(|| wires.error(Some(IDENTITIES), "is missing"))?;
    // AIA, 3.1: a multiple of 64, less one.
    let highest =
        u32::try_from(highest).ok().filter(|highest| *highest < MAX_IDENTITIES && highest % 64 == 63);
    let highest =
        highest.ok_or_else(|| wires.error(Some(IDENTITIES), "is not 63, 127, or so on up to 2047"))?;
    let places = places(wires)?;
    check_layout(wires, places.len())?;
    let lines = (0..places.len()).map(|index| wires.irq(index)).collect::<Result<Vec<_>, _>>()?;
    let base = wires.reg(0)?.base();
    let file = |(place, line): (u64, IrqLine)| File::new(base.offset(place * FILE_SIZE), line, highest);
    let files = (0..).zip(lines).map(file).collect();
    let base = base.get();
    let imsic = Arc::new(Imsic { base, files, places });
    wires.map(0, Arc::new(Pages(imsic.clone())))?;
    let indirect = select::EIDELIVERY..=select::EIE63;
    let indirect = indirect.filter(|number| Register::decode(*number).is_some());
    let priorities = PRIORITIES.filter(|number| number.is_multiple_of(2));
    let mut ids: Vec<RegisterId> =
        indirect.chain(priorities).map(|number| RegisterId(INDIRECT | number)).collect();
    ids.push(RegisterId(STOPEI));
    wires.map_registers(&ids, Arc::new(Registers(imsic.clone())))?;
    wires.set_controller(Arc::new(Chip(imsic)));
    Ok(())
}

/// The place of each CPU's file, by the CPU's number.
fn places(wires: &Wires<'_>) -> Result<Vec<usize>, NotWired> {
    let mut ids = Vec::new();
    for reference in wires.node().interrupts()? {
        if reference.cells.get(0) != Some(SUPERVISOR_EXTERNAL) {
            return Err(wires.error(Some(HARTS), "interrupts other than a hart's external one (9)"));
        }
        let cpu = reference.node.parent().ok_or_else(|| wires.error(Some(HARTS), "names no hart"))?;
        ids.push(hardware_id(cpu)?);
    }
    let count = wires.vcpu_count();
    if ids.len() != count as usize {
        let text = format!("names {} harts, and the guest has {count}", ids.len());
        return Err(wires.error(Some(HARTS), text));
    }
    let place = |cpu: u32| {
        let id = wires.hardware_id(cpu)?;
        ids.iter().position(|known| *known == id)
    };
    let found = (0..count).map(|cpu| {
        place(cpu).ok_or_else(|| wires.error(Some(HARTS), format!("CPU {cpu} of the guest has no file")))
    });
    found.collect()
}

fn hardware_id(cpu: Node<'_>) -> Result<u64, NotWired> {
    Ok(cpu.bus_reg()?.first().map_or(u64::MAX, |region| region.start))
}

/// Files follow each other, a page each: a guest has no guests, and its harts are one group.
fn check_layout(wires: &mut Wires<'_>, harts: usize) -> Result<(), NotWired> {
    for (name, why) in [
        (GUEST_BITS, "a guest's harts have no guests' files: it must be 0 or missing"),
        (GROUP_BITS, "a guest's harts are one group: it must be 0 or missing"),
    ] {
        if wires.number(name)?.is_some_and(|bits| bits != 0) {
            return Err(wires.error(Some(name), why));
        }
    }
    if let Some(bits) = wires.number(HART_BITS)?
        && (bits > 14 || (1 << bits) < harts)
    {
        return Err(wires.error(Some(HART_BITS), format!("{bits} bits do not tell {harts} harts apart")));
    }
    let span = wires.reg(0)?;
    let needed = harts as u64 * FILE_SIZE;
    if span.length() < needed {
        let text = format!("{harts} harts take {needed:#x} bytes, and there are {:#x}", span.length());
        return Err(wires.error(Some("reg"), text));
    }
    Ok(())
}

struct Imsic {
    /// Where the first page is, in the guest's memory.
    base: u64,
    /// In the order of their pages.
    files: Vec<Arc<File>>,
    /// The place of each CPU's file.
    places: Vec<usize>,
}

impl Imsic {
    fn of_cpu(&self, cpu: u32) -> Option<&Arc<File>> {
        self.files.get(*self.places.get(cpu as usize)?)
    }
}

/// A CPU's file.
struct File {
    // Wires.
    page: Gpa,
    line: IrqLine,
    /// Locked with interrupts masked: messages come from anywhere.
    state: Spin<State, IrqOff>,
}

struct State {
    highest: u32,
    // What the guest set.
    /// eidelivery.
    delivers: bool,
    /// eithreshold.
    threshold: u32,
    /// Bit n of word m is identity 64 m + n.
    enabled: Vec<u64>,
    // What follows.
    /// The hardware has the file: what is here is not looked at, and messages go there.
    lent: Option<FilePage>,
    pending: Vec<u64>,
    /// What `stopei` said last: what a write to it takes.
    told: u32,
    /// What the line is at.
    level: bool,
}

impl File {
    fn new(page: Gpa, line: IrqLine, highest: u32) -> Arc<Self> {
        let words = vec![0; (highest / 64 + 1) as usize];
        let state = State {
            highest,
            delivers: false,
            threshold: 0,
            enabled: words.clone(),
            lent: None,
            pending: words,
            told: 0,
            level: false,
        };
        Arc::new(Self { page, line, state: Spin::ranked(state, Rank::Controller) })
    }

    /// Does something to the state, and sets the line as follows from it.
    #[inline]
    fn change<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = what(&mut state);
        let level = state.lent.is_none() && state.delivers && state.top() != 0;
        if state.level != level {
            state.level = level;
            self.line.set(level);
        }
        result
    }

    fn send(&self, identity: u32) {
        self.change(|state| match state.lent {
            Some(page) if identity <= state.highest => Machine::post(page, identity),
            _ => state.set_pending(identity, true),
        });
    }
}

impl MessageFile for File {
    fn page(&self) -> Gpa {
        self.page
    }

    fn highest(&self) -> u32 {
        self.state.lock().highest
    }

    fn lend(&self, page: FilePage, image: &mut FileImage) {
        self.change(|state| {
            (image.delivers, image.threshold) = (state.delivers, state.threshold);
            let words = image.enabled.iter_mut().zip(&mut image.pending);
            for ((to_enabled, to_pending), (enabled, pending)) in
                words.zip(state.enabled.iter().zip(&mut state.pending))
            {
                (*to_enabled, *to_pending) = (*enabled, core::mem::take(pending));
            }
            state.lent = Some(page);
        });
    }

    fn take_back(&self, read: &mut dyn FnMut(&mut FileImage)) {
        let mut image = FileImage::EMPTY;
        self.change(|state| {
            read(&mut image);
            state.lent = None;
            state.write(Register::Threshold, image.threshold.into());
            state.delivers = image.delivers;
            for (index, (enabled, pending)) in (0..).zip(image.enabled.iter().zip(&image.pending)) {
                state.write(Register::Enable(index), *enabled);
                state.write(Register::Pending(index), *pending);
            }
        });
    }
}

impl State {
    fn set_pending(&mut self, identity: u32, pending: bool) {
        if identity == 0 || identity > self.highest {
            return;
        }
        if let Some(word) = self.pending.get_mut((identity / 64) as usize) {
            let bit = 1 << (identity % 64);
            *word = if pending { *word | bit } else { *word & !bit };
        }
    }

    /// The most urgent identity that is pending, enabled and within the threshold: the lowest; 0 for none.
    #[inline]
    fn top(&self) -> u32 {
        let words = (0..).step_by(64).zip(self.pending.iter().zip(&self.enabled));
        let mut ready = words.map(|(first, (pending, enabled))| (first, pending & enabled));
        let first =
            ready.find(|(_, word)| *word != 0).map_or(0, |(first, word)| first + word.trailing_zeros());
        if self.threshold == 0 || first < self.threshold { first } else { 0 }
    }

    /// The bits of a word that stand for identities.
    const fn existing(word: u32) -> u64 {
        if word == 0 { !1 } else { !0 }
    }

    fn read(&self, register: Register) -> u64 {
        let word = |words: &[u64], index: u32| words.get(index as usize).copied().unwrap_or(0);
        match register {
            Register::Delivery => self.delivers.into(),
            Register::Threshold => self.threshold.into(),
            Register::Pending(index) => word(&self.pending, index),
            Register::Enable(index) => word(&self.enabled, index),
        }
    }

    fn write(&mut self, register: Register, value: u64) {
        let (words, index) = match register {
            Register::Delivery => {
                // By the file, or not; no APLIC interrupts its CPU past it.
                self.delivers = value == isa_aia::imsic::DELIVER;
                return;
            }
            Register::Threshold => {
                self.threshold = u32::try_from(value & u64::from(self.highest)).unwrap_or(0);
                return;
            }
            Register::Pending(index) => (&mut self.pending, index),
            Register::Enable(index) => (&mut self.enabled, index),
        };
        if let Some(word) = words.get_mut(index as usize) {
            *word = value & Self::existing(index);
        }
    }

    fn reset(&mut self) {
        self.delivers = false;
        self.threshold = 0;
        self.enabled.fill(0);
        self.pending.fill(0);
        self.told = 0;
    }
}

/// The files' pages.
struct Pages(Arc<Imsic>);

impl Target for Pages {
    /// What is written is not kept anywhere.
    fn read(&self, access: Access) -> Result<u64, Refused> {
        if access.width == Width::B4 { Ok(0) } else { Err(Refused::Width) }
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        if access.width != Width::B4 {
            return Err(Refused::Width);
        }
        let file = usize::try_from(access.offset / FILE_SIZE).ok().and_then(|place| self.0.files.get(place));
        let Some(file) = file else { return Err(Refused::Nothing) };
        let value = (value & 0xffff_ffff) as u32;
        match access.offset % FILE_SIZE {
            SETEIPNUM_LE => file.send(value),
            SETEIPNUM_BE => file.send(value.swap_bytes()),
            _ => {}
        }
        Ok(())
    }

    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        for (cpu, place) in self.0.places.iter().enumerate() {
            let Some(file) = self.0.files.get(*place) else { continue };
            let state = file.state.lock();
            let count = |words: &[u64]| words.iter().map(|word| word.count_ones()).sum::<u32>();
            tree.field(
                &format!("CPU {cpu}"),
                format_args!(
                    "{}{}, threshold {}, {} enabled, {} pending, next {}",
                    if state.lent.is_some() { "in hardware; before that " } else { "" },
                    if state.delivers { "on" } else { "off" },
                    state.threshold,
                    count(&state.enabled),
                    count(&state.pending),
                    state.top(),
                ),
            );
        }
    }
}

/// What a CPU reaches of its own file.
struct Registers(Arc<Imsic>);

/// What `siselect` holds, of the register that an access is to.
fn selected(access: Access) -> Result<Option<Register>, Refused> {
    let number = u32::try_from(access.offset).map_err(|_| Refused::Nothing)? & !INDIRECT;
    if PRIORITIES.contains(&number) {
        // Which of a hart's own interrupts comes first is as the architecture has it.
        return Ok(None);
    }
    Register::decode(number).map(Some).ok_or(Refused::Nothing)
}

impl Target for Registers {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        let file = self.0.of_cpu(access.by).ok_or(Refused::Nothing)?;
        let is_claim = access.offset == STOPEI.into();
        let register = if is_claim { None } else { selected(access)? };
        if register.is_none() && !is_claim {
            return Ok(0);
        }
        let mut state = file.state.lock();
        if state.lent.is_some() {
            return Err(Refused::Unsettled);
        }
        Ok(match register {
            Some(register) => state.read(register),
            None => {
                state.told = state.top();
                topei(state.told)
            }
        })
    }

    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        let file = self.0.of_cpu(access.by).ok_or(Refused::Nothing)?;
        if access.offset == STOPEI.into() {
            // Every write follows a read by the same instruction; what came in between was not told.
            file.change(|state| state.set_pending(state.told, false));
        } else if let Some(register) = selected(access)? {
            file.change(|state| state.write(register, value));
        }
        Ok(())
    }
}

/// The controller as the machine holds it.
struct Chip(Arc<Imsic>);

impl Controller for Chip {
    fn translate(&self, _: &[u32]) -> Result<u32, Cow<'static, str>> {
        Err("interrupt files take messages and no wires: an APLIC with msi-parent makes those of these"
            .into())
    }
    fn line(&self, _: u32) -> IrqLine {
        IrqLine::unconnected()
    }
    fn irq_registers(&self) -> bool {
        true
    }
    fn messages(&self) -> Option<Arc<dyn Messages>> {
        Some(self.0.clone())
    }
    fn file(&self, vcpu: u32) -> Option<Arc<dyn MessageFile>> {
        Some(self.0.of_cpu(vcpu)?.clone())
    }
    fn reset(&self) {
        for file in &self.0.files {
            file.change(State::reset);
        }
    }
    fn reset_cpu(&self, vcpu: u32) {
        if let Some(file) = self.0.of_cpu(vcpu) {
            file.change(State::reset);
        }
    }
}

impl Messages for Imsic {
    fn send(&self, address: u64, data: u32) {
        let offset = address.checked_sub(self.base).filter(|offset| offset % FILE_SIZE == SETEIPNUM_LE);
        let place = offset.and_then(|offset| usize::try_from(offset / FILE_SIZE).ok());
        if let Some(file) = place.and_then(|place| self.files.get(place)) {
            file.send(data);
        }
    }
    fn address(&self, cpu: u32) -> Option<u64> {
        ((cpu as usize) < self.files.len()).then(|| self.base + u64::from(cpu) * FILE_SIZE)
    }
}

#[cfg(test)]
mod tests;
