//! The advanced platform-level interrupt controller (AIA 1.0, chapter 4): its supervisors' domain. It interrupts harts
//! directly, by their external interrupt; or where the harts have files of interrupts (`msi-parent`) by messages, one
//! identity for each source. With several sockets there is one in each: directly it interrupts that socket's harts, by
//! messages all.
//!
//! A level-sensitive source is silent from claim to deactivation: directly by being off, with messages since the next
//! one is sent when the source is looked at again.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{CpuId, IrqsOff, LocalIrqs, Machine, Processors};
use atomic::{Arc, AtomicBool, AtomicU8, AtomicU32, Ordering};
use host_irq::{BadSpecifier, Chip, Line, Outcome, Trigger};
use host_mmio::Window;
use host_sync::{IrqOff, Rank, Spin};
use isa_aia::aplic::{MAX_SOURCES, Mode, Register, domaincfg, size_direct, target};
use isa_plic::SUPERVISOR_EXTERNAL;
use isa_rv::local;

use super::harts::{self, Hart};
use super::imsic::{self, Imsic};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "aplic", class: "irqchip", stage: Stage::IrqChip, compatible: &["riscv,aplic"], start };

/// Of all sources, where delivery is direct.
const PRIORITY: u32 = 1;

struct Aplic {
    name: String,
    registers: Window,
    lines: u32,
    way: Way,
    sources: Vec<Source>,
    /// Who switches a source on or off, ends it or moves it does that in turn: what is known of it is what the
    /// controller was told last.
    changes: Spin<(), IrqOff>,
}

/// How interrupts get to harts.
enum Way {
    /// By the delivery controls of the domain.
    Direct(Vec<Hart>),
    /// By messages.
    Messages {
        imsic: Arc<Imsic>,
        /// The identity of a source is this plus its number.
        before: u32,
        /// The highest source that has an identity.
        highest: u32,
    },
}

/// What is known of a source.
#[derive(Default)]
struct Source {
    /// [`Mode`].
    mode: AtomicU8,
    enabled: AtomicBool,
    /// The place of the hart that it goes to.
    hart: AtomicU32,
}

struct Started {
    _lines: Vec<Line>,
    _chip: Arc<Aplic>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let sources = node.u32("riscv,num-sources")?.min(MAX_SOURCES - 1);
    let direct = !node.flag("msi-parent");
    let mut irq = None;
    let way = if direct {
        // One that only machine mode hears of is the firmware's.
        irq = harts::external(node)?;
        Way::Direct(harts::of(node, SUPERVISOR_EXTERNAL)?)
    } else if imsic::is_parent_ours(node)? {
        Way::messages(imsic::parent(node)?, sources)
    } else {
        return Err(Declined::NotMine);
    };
    let registers = node.window(0)?;
    let needed = match &way {
        Way::Direct(harts) => size_direct(harts.iter().map(|hart| hart.place + 1).max().unwrap_or(0)),
        Way::Messages { .. } => isa_aia::aplic::SIZE_MSI,
    };
    if registers.length() < needed {
        return Err(Declined::Broken(alloc::format!("property \"reg\": is shorter than {needed:#x} bytes")));
    }
    let chip = Arc::new(Aplic::new(node.name().into(), registers, sources + 1, way));
    chip.silence();
    chip.start_cpu(&IrqsOff::now()).map_err(Declined::Broken)?;
    chip.aim_here(&IrqsOff::now());
    let mut lines = Vec::new();
    if direct {
        lines.extend(harts::publish(node, irq, chip.clone(), phandle)?);
    } else {
        let domain = host_irq::publish(chip.clone(), phandle)?;
        for source in 1..chip.lines.min(chip.highest() + 1) {
            let domain = domain.clone();
            let handler = move |masked: &IrqsOff, _| {
                domain.dispatch(masked, source);
                Outcome::Done
            };
            // The harts' own controllers are the root, whose numbers are the first ones.
            let line = local::message(chip.identity(source));
            lines.push(Line::on(line, Trigger::EdgeRising, node.name(), Box::new(handler))?);
        }
    }
    chip.switch_on();
    Ok(Box::new(Started { _lines: lines, _chip: chip }))
}

impl Way {
    /// By messages, with identities for as many of `sources` as there are left.
    fn messages(imsic: Arc<Imsic>, sources: u32) -> Self {
        let (before, highest) = imsic.reserve(sources);
        Self::Messages { imsic, before, highest }
    }
}

impl Aplic {
    fn new(name: String, registers: Window, lines: u32, way: Way) -> Self {
        let sources = (0..lines).map(|_| Source::default()).collect();
        Self { name, registers, lines, way, sources, changes: Spin::ranked((), Rank::Registers) }
    }

    fn read(&self, register: Register) -> u32 {
        self.registers.read32(register.offset())
    }

    fn write(&self, register: Register, value: u32) {
        self.registers.write32(register.offset(), value);
    }

    /// The highest source that can interrupt anybody.
    fn highest(&self) -> u32 {
        match &self.way {
            Way::Direct(_) => u32::MAX - 1,
            Way::Messages { highest, .. } => *highest,
        }
    }

    /// The identity of a source, where there are messages.
    fn identity(&self, source: u32) -> u32 {
        match &self.way {
            Way::Direct(_) => source,
            Way::Messages { before, .. } => before + source,
        }
    }

    /// Nothing is delivered, and no source is in use.
    fn silence(&self) {
        self.write(Register::DomainCfg, 0);
        for word in 0..self.lines.div_ceil(32) {
            self.write(Register::ClrIe(word), u32::MAX);
        }
        for source in 1..self.lines {
            self.write(Register::SourceCfg(source), 0);
        }
    }

    fn switch_on(&self) {
        let mode = if matches!(self.way, Way::Messages { .. }) { domaincfg::DM } else { 0 };
        self.write(Register::DomainCfg, domaincfg::IE | mode);
    }

    /// The place of a hart, by its id.
    fn place(&self, hart: u64) -> Option<u32> {
        match &self.way {
            Way::Direct(harts) => harts.iter().find(|known| known.id == hart).map(|known| known.place),
            Way::Messages { imsic, .. } => imsic.place(hart),
        }
    }

    fn source(&self, source: u32) -> Option<&Source> {
        if source == 0 { None } else { self.sources.get(source as usize) }
    }

    /// Every source goes to the asking CPU, the one that boots. Not when it comes back later: they are elsewhere then.
    fn aim_here(&self, masked: &IrqsOff) {
        if let Some(place) = self.place(Machine::hardware_id(masked)) {
            for source in &self.sources {
                source.hart.store(place, Ordering::Relaxed);
            }
        }
    }

    /// Says where a source goes.
    fn aim(&self, number: u32, source: &Source) {
        let place = source.hart.load(Ordering::Relaxed);
        let how = match &self.way {
            Way::Direct(_) => PRIORITY,
            Way::Messages { .. } => self.identity(number) & target::IDENTITY,
        };
        self.write(Register::Target(number), (place & target::HART) << target::HART_SHIFT | how);
    }

    fn is_level(source: &Source) -> bool {
        Mode::decode(source.mode.load(Ordering::Relaxed).into()).is_some_and(Mode::is_level)
    }
}

impl Chip for Aplic {
    fn name(&self) -> &str {
        &self.name
    }

    fn lines(&self) -> u32 {
        self.lines
    }

    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        let [source, trigger] = *cells else { return Err(BadSpecifier) };
        let trigger = match trigger {
            1 => Trigger::EdgeRising,
            2 => Trigger::EdgeFalling,
            4 => Trigger::LevelHigh,
            8 => Trigger::LevelLow,
            _ => return Err(BadSpecifier),
        };
        if source == 0 || source > self.highest() { Err(BadSpecifier) } else { Ok((source, trigger)) }
    }

    /// With messages this is not asked: the harts' files are.
    fn claim(&self, masked: &IrqsOff) -> Option<u32> {
        let place = self.place(Machine::hardware_id(masked))?;
        let number = self.read(Register::ClaimI(place)) >> target::SOURCE_SHIFT & 0x3ff;
        let source = self.source(number)?;
        if Self::is_level(source) {
            self.write(Register::ClrIeNum, number);
        }
        Some(number)
    }

    fn drop_priority(&self, _: &IrqsOff, _: u32) {}

    fn deactivate(&self, _: &IrqsOff, number: u32) {
        let Some(source) = self.source(number).filter(|source| Self::is_level(source)) else { return };
        match &self.way {
            Way::Direct(_) => {
                let _guard = self.changes.lock();
                if source.enabled.load(Ordering::Relaxed) {
                    self.write(Register::SetIeNum, number);
                }
            }
            // Does nothing where the wire fell (4.9.2).
            Way::Messages { .. } => self.write(Register::SetIpNumLe, number),
        }
    }

    fn enable(&self, number: u32) {
        if let Some(source) = self.source(number) {
            let _guard = self.changes.lock();
            source.enabled.store(true, Ordering::Relaxed);
            self.aim(number, source);
            self.write(Register::SetIeNum, number);
        }
    }

    fn disable(&self, number: u32) {
        if let Some(source) = self.source(number) {
            let _guard = self.changes.lock();
            source.enabled.store(false, Ordering::Relaxed);
            self.write(Register::ClrIeNum, number);
        }
    }

    fn set_trigger(&self, number: u32, trigger: Trigger) {
        let Some(source) = self.source(number) else { return };
        let mode = match trigger {
            Trigger::LevelHigh => Mode::LevelHigh,
            Trigger::LevelLow => Mode::LevelLow,
            Trigger::EdgeRising => Mode::EdgeRising,
            Trigger::EdgeFalling => Mode::EdgeFalling,
        };
        source.mode.store(mode as u8, Ordering::Relaxed);
        self.write(Register::SourceCfg(number), mode as u32);
        if mode.is_level() && matches!(self.way, Way::Messages { .. }) {
            // A line that is high already might be pending by that, or might not (4.5.2).
            self.write(Register::SetIpNumLe, number);
        }
    }

    fn set_affinity(&self, number: u32, cpu: CpuId) {
        let place = Machine::hardware_id_of(cpu).and_then(|hart| self.place(hart));
        if let (Some(source), Some(place)) = (self.source(number), place) {
            let _guard = self.changes.lock();
            source.hart.store(place, Ordering::Relaxed);
            self.aim(number, source);
        }
    }

    fn reaches(&self, cpu: CpuId) -> bool {
        Machine::hardware_id_of(cpu).is_some_and(|hart| self.place(hart).is_some())
    }

    /// Where delivery is direct, one of another socket has a controller of its own.
    fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        match &self.way {
            Way::Direct(_) => {
                if let Some(place) = self.place(Machine::hardware_id(masked)) {
                    self.write(Register::IForce(place), 0);
                    self.write(Register::IThreshold(place), 0);
                    self.write(Register::IDelivery(place), 1);
                }
            }
            Way::Messages { imsic, .. } => imsic.start_cpu(masked)?,
        }
        Ok(())
    }

    fn stop_cpu(&self, masked: &IrqsOff) {
        if let (Way::Direct(_), Some(place)) = (&self.way, self.place(Machine::hardware_id(masked))) {
            self.write(Register::IDelivery(place), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use arch::Cpu;
    use host_mmio::fake::Registers;
    use isa_aia::imsic::Layout;

    use super::*;

    fn own() -> Hart {
        Hart { id: Machine::hardware_id(&IrqsOff::now()), place: 1 }
    }

    fn direct(registers: &Registers) -> Aplic {
        Aplic::new("aplic".into(), registers.window(), 97, Way::Direct(vec![own()]))
    }

    #[test]
    fn a_level_is_off_from_claim_to_deactivation() {
        let registers = Registers::new(0x8000);
        let chip = direct(&registers);
        chip.set_trigger(10, Trigger::LevelHigh);
        chip.enable(10);
        assert_eq!(registers.get(Register::SourceCfg(10).offset()), Mode::LevelHigh as u64);
        registers.script(Register::ClaimI(1).offset(), &[10 << 16 | 1, 0]);
        registers.take_log();
        let masked = IrqsOff::now();
        assert_eq!(chip.claim(&masked), Some(10));
        chip.deactivate(&masked, 10);
        let (off, on) = (Register::ClrIeNum.offset(), Register::SetIeNum.offset());
        assert_eq!(registers.writes(), [(off, 10), (on, 10)]);
        assert_eq!(chip.claim(&masked), None);
        chip.disable(10);
        registers.take_log();
        chip.deactivate(&masked, 10);
        assert_eq!(registers.writes(), [], "one that nobody wants stays off");
    }

    #[test]
    fn what_is_known_of_a_source_and_what_the_controller_is_told_change_together() {
        let registers = Registers::new(0x8000);
        let chip = Arc::new(direct(&registers));
        chip.set_trigger(10, Trigger::LevelHigh);
        let told = Arc::new(AtomicU32::new(0));
        for register in [Register::SetIeNum, Register::ClrIeNum, Register::Target(10)] {
            let (chip, told) = (chip.clone(), told.clone());
            registers.on_write(register.offset(), move |_, _| {
                if chip.changes.try_lock().is_none() {
                    told.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let masked = IrqsOff::now();
        chip.enable(10);
        chip.deactivate(&masked, 10);
        chip.set_affinity(10, Machine::id(&masked));
        chip.disable(10);
        assert_eq!(told.load(Ordering::Relaxed), 5, "else a disable during a deactivate would leave it on");
    }

    #[test]
    fn a_source_sends_its_number_and_is_looked_at_again_when_it_is_over() {
        let registers = Registers::new(0x8000);
        let imsic = Arc::new(Imsic::new(vec![own()], 63, Layout::for_harts(1), vec![]));
        let chip = Aplic::new("aplic".into(), registers.window(), 97, Way::messages(imsic, 96));
        chip.set_affinity(10, CpuId(0));
        for source in &chip.sources {
            source.hart.store(1, Ordering::Relaxed);
        }
        registers.take_log();
        chip.set_trigger(10, Trigger::LevelHigh);
        let (mode, again) = (Register::SourceCfg(10).offset(), Register::SetIpNumLe.offset());
        let said = [(mode, Mode::LevelHigh as u64), (again, 10)];
        assert_eq!(registers.writes(), said, "a line that is high already is not forgotten");
        chip.set_trigger(11, Trigger::EdgeRising);
        assert_eq!(registers.writes().len(), 1);
        registers.set(again, 0);
        chip.enable(10);
        assert_eq!(registers.get(Register::Target(10).offset()), 1 << 18 | 10);
        chip.deactivate(&IrqsOff::now(), 10);
        assert_eq!(registers.get(Register::SetIpNumLe.offset()), 10);
        chip.switch_on();
        let on = u64::from(domaincfg::IE | domaincfg::DM);
        assert_eq!(registers.get(Register::DomainCfg.offset()), on);
        assert_eq!(
            chip.translate(&[63, 4]),
            Err(BadSpecifier),
            "it is the identity by which CPUs interrupt each other"
        );
        assert_eq!(chip.translate(&[62, 1]), Ok((62, Trigger::EdgeRising)));
    }

    #[test]
    fn the_sources_of_two_controllers_have_identities_of_their_own() {
        let registers = Registers::new(0x8000);
        let imsic = Arc::new(Imsic::new(vec![own()], 255, Layout::for_harts(1), vec![]));
        let chip = || {
            let window = Registers::new(0x8000).window();
            Aplic::new("aplic".into(), window, 97, Way::messages(imsic.clone(), 96))
        };
        let (first, second, third) = (chip(), chip(), chip());
        assert_eq!([&first, &second, &third].map(|chip| chip.identity(1)), [1, 97, 193]);
        assert_eq!(second.translate(&[96, 4]), Ok((96, Trigger::LevelHigh)));
        assert_eq!(third.translate(&[63, 4]), Err(BadSpecifier), "254 are there for devices");
        let chip = Aplic::new("aplic".into(), registers.window(), 97, Way::messages(imsic, 0));
        assert_eq!(chip.highest(), 0);
        assert_eq!(second.identity(10), 106);
    }

    #[test]
    fn a_hart_of_another_socket_is_left_alone() {
        let registers = Registers::new(0x8000);
        let other = Hart { id: own().id + 1, place: 0 };
        let chip = Aplic::new("aplic".into(), registers.window(), 97, Way::Direct(vec![other]));
        let masked = IrqsOff::now();
        assert_eq!(chip.start_cpu(&masked), Ok(()));
        assert_eq!(registers.writes(), []);
        assert_eq!(chip.claim(&masked), None);
    }
}
