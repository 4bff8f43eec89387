//! The platform-level interrupt controller (riscv-plic-spec, version 1.0.0): below the harts' own controllers, by the
//! external interrupt of each.
//!
//! With several sockets there is one in each, for the socket's harts and devices.
//!
//! A source interrupts one hart, that of its affinity. Between claim and completion it stays silent, so that "kept" is
//! "not completed yet".

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{Cpu, CpuId, IrqsOff, LocalIrqs, MAX_CPUS, Machine};
use atomic::{Arc, AtomicU32, Ordering};
use host_irq::{BadSpecifier, Chip, Line, Trigger};
use host_mmio::Window;
use host_sync::{IrqOff, Rank, Spin};
use isa_plic::{MAX_SOURCES, Register, SUPERVISOR_EXTERNAL, size};

use super::harts::{self, Hart};
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "plic",
    class: "irqchip",
    stage: Stage::IrqChip,
    compatible: &["sifive,plic-1.0.0", "riscv,plic0"],
    start,
};

/// Of a source that somebody wants. Which priorities exist beside 0 and 1 cannot be asked.
const PRIORITY: u32 = 1;
/// A threshold that nothing passes.
const NOTHING: u32 = u32::MAX;

struct Plic {
    name: String,
    registers: Window,
    lines: u32,
    /// The contexts of supervisors, by hart.
    harts: Vec<Hart>,
    /// The context of each processor that came up, by its number; or [`NO_CONTEXT`].
    contexts: Vec<AtomicU32>,
    /// The context that each source goes to.
    targets: Vec<AtomicU32>,
    /// Enable registers have 32 sources each; and a source is on in the context that it goes to, no other.
    enables: Spin<(), IrqOff>,
}

const NO_CONTEXT: u32 = u32::MAX;

struct Started {
    _chip: Arc<Plic>,
    _line: Option<Line>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let irq = harts::external(node)?;
    let sources = node.u32("riscv,ndev")?.min(MAX_SOURCES - 1);
    let harts = harts::of(node, SUPERVISOR_EXTERNAL)?;
    let last = harts.iter().map(|hart| hart.place).max().unwrap_or(0);
    let registers = node.window(0)?;
    if registers.length() < size(last + 1) {
        return Err(Declined::Broken(alloc::format!("property \"reg\": is too short for context {last}")));
    }
    let chip = Arc::new(Plic::new(node.name().into(), registers, sources + 1, harts));
    chip.silence();
    chip.start_cpu(&IrqsOff::now()).map_err(Declined::Broken)?;
    chip.aim_here(&IrqsOff::now());
    let line = harts::publish(node, irq, chip.clone(), phandle)?;
    Ok(Box::new(Started { _chip: chip, _line: line }))
}

impl Plic {
    fn new(name: String, registers: Window, lines: u32, harts: Vec<Hart>) -> Self {
        let first = harts.first().map_or(0, |hart| hart.place);
        // A CPU that did not come up has a number too, so numbers may be higher than there are harts.
        let contexts = (0..MAX_CPUS).map(|_| AtomicU32::new(NO_CONTEXT)).collect();
        let targets = (0..lines).map(|_| AtomicU32::new(first)).collect();
        Self { name, registers, lines, harts, contexts, targets, enables: Spin::ranked((), Rank::Registers) }
    }

    /// Nothing comes to any supervisor. What comes to the firmware is the firmware's.
    fn silence(&self) {
        for hart in &self.harts {
            self.write(Register::Threshold(hart.place), NOTHING);
            for word in 0..self.lines.div_ceil(32) {
                self.write(Register::Enable(hart.place, word), 0);
            }
        }
    }

    fn read(&self, register: Register) -> u32 {
        self.registers.read32(register.offset())
    }

    fn write(&self, register: Register, value: u32) {
        self.registers.write32(register.offset(), value);
    }

    fn context(&self, cpu: CpuId) -> Option<u32> {
        let context = self.contexts.get(cpu.0 as usize)?.load(Ordering::Relaxed);
        (context != NO_CONTEXT).then_some(context)
    }

    fn target(&self, source: u32) -> Option<u32> {
        Some(self.targets.get(source as usize)?.load(Ordering::Relaxed))
    }

    /// Every source goes to the asking CPU, the one that boots. Not when it comes back later: they are elsewhere then.
    fn aim_here(&self, masked: &IrqsOff) {
        if let Some(context) = self.context(Machine::id(masked)) {
            for target in &self.targets {
                target.store(context, Ordering::Relaxed);
            }
        }
    }

    /// Switches a source on or off for a context; says what it was. The caller has the lock, and had it when it looked
    /// which context it is.
    fn set_enabled(&self, context: u32, source: u32, on: bool) -> bool {
        let (register, bit) = (Register::Enable(context, source / 32), 1 << (source % 32));
        let before = self.read(register);
        self.write(register, if on { before | bit } else { before & !bit });
        before & bit != 0
    }
}

impl Chip for Plic {
    fn name(&self) -> &str {
        &self.name
    }

    fn lines(&self) -> u32 {
        self.lines
    }

    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        match cells {
            [source] if *source != 0 => Ok((*source, Trigger::LevelHigh)),
            // Newer trees of some vendors say the trigger too (binding `sifive,plic-1.0.0`).
            [source, 1] if *source != 0 => Ok((*source, Trigger::EdgeRising)),
            [source, 4] if *source != 0 => Ok((*source, Trigger::LevelHigh)),
            _ => Err(BadSpecifier),
        }
    }

    #[inline]
    fn claim(&self, masked: &IrqsOff) -> Option<u32> {
        let source = self.read(Register::Claim(self.context(Machine::id(masked))?));
        (source != 0).then_some(source)
    }

    fn drop_priority(&self, _: &IrqsOff, _: u32) {}

    #[inline]
    fn deactivate(&self, _: &IrqsOff, source: u32) {
        // A completion between the two steps of a move would be ignored, and the source silent for ever.
        let _guard = self.enables.lock();
        let Some(context) = self.target(source) else { return };
        // The controller ignores the completion of a source that is off.
        let was_on = self.read(Register::Enable(context, source / 32)) & 1 << (source % 32) != 0;
        if !was_on {
            self.set_enabled(context, source, true);
        }
        self.write(Register::Claim(context), source);
        if !was_on {
            self.set_enabled(context, source, false);
        }
    }

    fn enable(&self, source: u32) {
        let _guard = self.enables.lock();
        if let Some(context) = self.target(source) {
            self.write(Register::Priority(source), PRIORITY);
            self.set_enabled(context, source, true);
        }
    }

    fn disable(&self, source: u32) {
        let _guard = self.enables.lock();
        if let Some(context) = self.target(source) {
            self.set_enabled(context, source, false);
        }
    }

    fn set_trigger(&self, _: u32, _: Trigger) {}

    fn set_affinity(&self, source: u32, cpu: CpuId) {
        let (Some(context), Some(target)) = (self.context(cpu), self.targets.get(source as usize)) else {
            return;
        };
        let _guard = self.enables.lock();
        let before = target.load(Ordering::Relaxed);
        if before != context {
            let was_on = self.set_enabled(before, source, false);
            target.store(context, Ordering::Relaxed);
            if was_on {
                self.set_enabled(context, source, true);
            }
        }
    }

    fn reaches(&self, cpu: CpuId) -> bool {
        self.context(cpu).is_some()
    }

    /// One of another socket has a controller of its own.
    fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        let (cpu, id) = (Machine::id(masked), Machine::hardware_id(masked));
        let hart = self.harts.iter().find(|hart| hart.id == id);
        if let (Some(hart), Some(place)) = (hart, self.contexts.get(cpu.0 as usize)) {
            place.store(hart.place, Ordering::Relaxed);
            self.write(Register::Threshold(hart.place), 0);
        }
        Ok(())
    }

    fn stop_cpu(&self, masked: &IrqsOff) {
        if let Some(context) = self.context(Machine::id(masked)) {
            self.write(Register::Threshold(context), NOTHING);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use host_mmio::fake::Registers;

    use super::*;

    /// Two harts, whose contexts are 1 and 3, and 40 sources.
    fn chip(registers: &Registers) -> Plic {
        let own = Machine::hardware_id(&IrqsOff::now());
        let harts = vec![Hart { id: own, place: 1 }, Hart { id: own + 1, place: 3 }];
        let chip = Plic::new("plic".into(), registers.window(), 41, harts);
        let cpu = Machine::id(&IrqsOff::now());
        // On the development machine each test is a processor.
        chip.contexts[cpu.0 as usize].store(1, Ordering::Relaxed);
        chip
    }

    #[test]
    fn nothing_comes_before_somebody_wants_it() {
        let registers = Registers::new(size(4));
        let chip = chip(&registers);
        registers.set(Register::Enable(3, 1).offset(), 0xff);
        chip.silence();
        assert_eq!(registers.get(Register::Enable(3, 1).offset()), 0);
        assert_eq!(registers.get(Register::Threshold(1).offset()), u64::from(NOTHING));
        chip.enable(35);
        assert_eq!(registers.get(Register::Enable(1, 1).offset()), 1 << 3);
        assert_eq!(registers.get(Register::Priority(35).offset()), 1);
    }

    #[test]
    fn a_source_that_is_off_is_completed_all_the_same() {
        let registers = Registers::new(size(4));
        let chip = chip(&registers);
        chip.enable(5);
        chip.disable(5);
        registers.take_log();
        chip.deactivate(&IrqsOff::now(), 5);
        let (enable, claim) = (Register::Enable(1, 0).offset(), Register::Claim(1).offset());
        assert_eq!(registers.writes(), [(enable, 1 << 5), (claim, 5), (enable, 0)]);
    }

    #[test]
    fn a_source_moves_with_its_affinity() {
        let registers = Registers::new(size(4));
        let chip = chip(&registers);
        chip.enable(5);
        chip.contexts[1].store(3, Ordering::Relaxed);
        chip.set_affinity(5, CpuId(1));
        assert_eq!(registers.get(Register::Enable(1, 0).offset()), 0);
        assert_eq!(registers.get(Register::Enable(3, 0).offset()), 1 << 5);
        chip.disable(5);
        assert_eq!(registers.get(Register::Enable(3, 0).offset()), 0);
    }

    #[test]
    fn a_hart_of_another_socket_is_left_alone() {
        let registers = Registers::new(size(4));
        let own = Machine::hardware_id(&IrqsOff::now());
        let harts = vec![Hart { id: own + 1, place: 1 }, Hart { id: own + 2, place: 3 }];
        let chip = Plic::new("plic".into(), registers.window(), 41, harts);
        let masked = IrqsOff::now();
        assert_eq!(chip.start_cpu(&masked), Ok(()));
        chip.aim_here(&masked);
        assert_eq!(registers.writes(), []);
        assert!(!chip.reaches(Machine::id(&masked)));
        assert_eq!(chip.claim(&masked), None);
        chip.set_affinity(5, Machine::id(&masked));
        assert_eq!(chip.target(5), Some(1));
    }

    #[test]
    fn a_cpu_that_comes_back_takes_no_source_from_another_one() {
        let registers = Registers::new(size(4));
        let chip = chip(&registers);
        let masked = IrqsOff::now();
        chip.aim_here(&masked);
        chip.enable(5);
        chip.contexts[1].store(3, Ordering::Relaxed);
        chip.set_affinity(5, CpuId(1));
        chip.stop_cpu(&masked);
        // Also where the test's number is higher than there are harts.
        chip.start_cpu(&masked).unwrap();
        assert_eq!(chip.target(5), Some(3));
        assert_eq!(registers.get(Register::Enable(1, 0).offset()), 0);
    }
}
