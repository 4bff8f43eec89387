//! GICv2 (IHI 0048B): distributor, CPU interface, and the interface for guests. "End of interrupt" drops
//! the priority only (EOImode 1); deactivation is apart, so that a guest can do it.

use alloc::boxed::Box;
use alloc::string::String;

use addr::{Hpa, Span};
use arch::{Cpu, CpuId, IrqsOff, Machine, Virt, VirtualInterface};
use atomic::{Arc, AtomicU32, Ordering, fence};
use host_irq::{BadSpecifier, Chip, Line, Trigger};
use host_mmio::Window;
use host_sync::Once;
use isa_gic::gicd::{self, SgiTargets};
use isa_gic::v2::gicc;

use super::distributor::Banks;
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "gicv2",
    class: "irqchip",
    stage: Stage::IrqChip,
    compatible: &["arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic"],
    start,
};

/// CPU interfaces that a GICv2 can have.
const MAX_CPUS: usize = 8;
/// As many numbers as a CPU that claims can have: on the development machine every test has CPUs of its own, all numbered
/// through.
const NUMBERS: usize = if cfg!(test) { arch::MAX_CPUS } else { MAX_CPUS };
/// Numbers from here on say that nothing is pending.
const FIRST_SPECIAL: u32 = 1020;
/// Where, in a region whose pages are each repeated 16 times, the last copy of the first page is: the
/// second page follows it directly.
const ALIASED: u64 = 0xf000;
/// A region as long as this may be such a one.
const ALIASED_LENGTH: u64 = 0x2_0000;

struct Gicv2 {
    name: String,
    distributor: Window,
    interface: Window,
    /// Where the CPU interface begins in its window.
    base: u64,
    lines: u32,
    /// Of each CPU: who sent the software-generated interrupt that it works on. Its end must say so.
    senders: [AtomicU32; NUMBERS],
    /// Of each CPU: its bit in the target registers.
    targets: [AtomicU32; MAX_CPUS],
    /// The hardware for guests; the same on every CPU, since the registers are each CPU's own.
    guests: Once<VirtualInterface>,
}

/// The software-generated interrupt by which CPUs interrupt each other.
const IPI: u32 = 0;

struct Started {
    _chip: Arc<Gicv2>,
    /// The interface for guests: its address was given to the architecture.
    _control: Option<Window>,
    _maintenance: Option<Line>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let distributor = node.window(0)?;
    let interface = node.window(1)?;
    let base = interface_base(&interface);
    if interface.length() < base + gicc::SIZE {
        return Err(Declined::broken("property \"reg\": the CPU interface is too short for GICC_DIR"));
    }
    let lines = gicd::typer::interrupts(distributor.read32(gicd::TYPER));
    let chip = Arc::new(Gicv2 {
        name: node.name().into(),
        distributor,
        interface,
        base,
        lines,
        senders: [const { AtomicU32::new(0) }; NUMBERS],
        targets: [const { AtomicU32::new(0) }; MAX_CPUS],
        guests: Once::new(),
    });
    let masked = IrqsOff::now();
    chip.start_distributor();
    chip.start_cpu(&masked).map_err(Declined::Broken)?;
    drop(masked);
    host_irq::publish(chip.clone(), phandle)?;
    let control = start_guests(node, &chip)?;
    let maintenance = if control.is_some() { super::maintenance(node)? } else { None };
    Ok(Box::new(Started { _chip: chip, _control: control, _maintenance: maintenance }))
}

/// Hands the interface for guests (GICH) to the architecture and publishes the one that they see (GICV).
/// That one is claimed by the machines that pass it to their guests.
fn start_guests(node: &Node<'_>, chip: &Gicv2) -> Result<Option<Window>, Declined> {
    if node.reg()?.len() < 4 {
        host_log::warn!("{}: property \"reg\" has no interface for guests", node.path());
        return Ok(None);
    }
    let timer = super::guest_timer(node)?;
    let control = node.window(2)?;
    let whole = node.span(3)?;
    // What is repeated for us is repeated for guests.
    let offset = if whole.length() >= ALIASED_LENGTH { chip.base } else { 0 };
    let seen = Span::<Hpa>::new(whole.base().offset(offset), gicc::SIZE)
        .filter(|seen| whole.contains_all(seen.base(), seen.length()))
        .ok_or_else(|| Declined::broken("property \"reg\": GICV is too short"))?;
    let distributor = chip.distributor.address();
    let interface = VirtualInterface::Mapped {
        control: control.address(),
        timer,
        set_active: distributor + gicd::ISACTIVER as usize,
        clear_active: distributor + gicd::ICACTIVER as usize,
    };
    Machine::use_interface(&IrqsOff::now(), interface);
    // The first one; there is no other before.
    let _ = chip.guests.set(interface);
    vio::assist::publish(vio::assist::Assist::Mapped { cpu_interface: seen });
    Ok(Some(control))
}

/// Where the CPU interface begins. Boards that give each 4 KiB page 64 KiB of addresses repeat it there;
/// the identification register tells.
fn interface_base(interface: &Window) -> u64 {
    if interface.length() < ALIASED_LENGTH {
        return 0;
    }
    let identity = interface.read32(gicc::IIDR);
    if identity != 0 && interface.read32(ALIASED + gicc::IIDR) == identity { ALIASED } else { 0 }
}

impl Gicv2 {
    /// Silences all shared interrupts, sends them to the asking CPU, and forwards.
    fn start_distributor(&self) {
        let window = &self.distributor;
        window.write32(gicd::CTLR, 0);
        // The first target registers tell the asking CPU's own bit; 0 where there is one CPU only.
        let own = window.read32(gicd::ITARGETSR) & 0xff;
        Banks::new(window, 0).silence(32, self.lines);
        for id in (32..self.lines).step_by(4) {
            window.write32(gicd::ITARGETSR + u64::from(id), own * 0x0101_0101);
        }
        window.write32(gicd::CTLR, gicd::ctlr::ENABLE_GRP0);
    }

    fn interface(&self, register: u64) -> u64 {
        self.base + register
    }

    fn sender(&self, masked: &IrqsOff) -> Option<&AtomicU32> {
        self.senders.get(Machine::id(masked).0 as usize)
    }

    /// What the end registers are written with: the number, and who sent a software-generated interrupt.
    fn end_value(&self, masked: &IrqsOff, irq: u32) -> u32 {
        if irq >= 16 {
            return irq;
        }
        self.sender(masked).map_or(irq, |sender| sender.load(Ordering::Relaxed) | irq)
    }

    fn with(&self, irq: u32, act: impl FnOnce(Banks<'_>)) {
        if irq < self.lines {
            act(Banks::new(&self.distributor, 0));
        }
    }
}

impl Chip for Gicv2 {
    fn name(&self) -> &str {
        &self.name
    }

    fn lines(&self) -> u32 {
        self.lines
    }

    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        super::translate(cells)
    }

    #[inline]
    fn claim(&self, masked: &IrqsOff) -> Option<u32> {
        let answer = self.interface.read32(self.interface(gicc::IAR));
        let irq = answer & gicc::INTERRUPT_ID;
        if irq >= FIRST_SPECIAL {
            return None;
        }
        if irq < 16
            && let Some(sender) = self.sender(masked)
        {
            sender.store(answer & !gicc::INTERRUPT_ID, Ordering::Relaxed);
        }
        Some(irq)
    }

    #[inline]
    fn drop_priority(&self, masked: &IrqsOff, irq: u32) {
        self.interface.write32(self.interface(gicc::EOIR), self.end_value(masked, irq));
    }

    #[inline]
    fn deactivate(&self, masked: &IrqsOff, irq: u32) {
        self.interface.write32(self.interface(gicc::DIR), self.end_value(masked, irq));
    }

    fn enable(&self, irq: u32) {
        self.with(irq, |banks| banks.enable(irq));
    }

    fn disable(&self, irq: u32) {
        self.with(irq, |banks| banks.disable(irq));
    }

    fn set_trigger(&self, irq: u32, trigger: Trigger) {
        if irq >= 16 {
            self.with(irq, |banks| banks.set_trigger(irq, trigger));
        }
    }

    fn set_priority(&self, irq: u32, priority: u8) {
        self.with(irq, |banks| banks.set_priority(irq, priority));
    }

    fn set_affinity(&self, irq: u32, cpu: CpuId) {
        let target = self.targets.get(cpu.0 as usize).map_or(0, |target| target.load(Ordering::Relaxed));
        if target != 0 && (32..self.lines).contains(&irq) {
            self.distributor.write8(gicd::ITARGETSR + u64::from(irq), target as u8);
        }
    }

    fn is_per_cpu(&self, irq: u32) -> bool {
        irq < 32
    }

    /// The registers of private interrupts are each CPU's own at the same address.
    fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        let cpu = Machine::id(masked);
        let target = self.targets.get(cpu.0 as usize).ok_or_else(|| {
            alloc::format!("{}: a GICv2 serves {MAX_CPUS} CPUs, and {cpu} is none of them", self.name)
        })?;
        target.store(self.distributor.read32(gicd::ITARGETSR) & 0xff, Ordering::Relaxed);
        Banks::new(&self.distributor, 0).silence(0, 32);
        self.interface.write32(self.interface(gicc::PMR), 0xff);
        self.interface.write32(self.interface(gicc::BPR), 0);
        self.interface.write32(self.interface(gicc::CTLR), gicc::ctlr::ENABLE | gicc::ctlr::EOI_MODE);
        if let Some(interface) = self.guests.get() {
            Machine::use_interface(masked, *interface);
        }
        Ok(())
    }

    fn stop_cpu(&self, _masked: &IrqsOff) {
        Banks::new(&self.distributor, 0).silence(0, 32);
        self.interface.write32(self.interface(gicc::CTLR), 0);
    }

    fn ipi(&self) -> Option<u32> {
        Some(IPI)
    }

    #[inline]
    fn send_ipi(&self, _masked: &IrqsOff, cpu: CpuId) {
        if let Some(target) = self.targets.get(cpu.0 as usize) {
            // What was stored before is seen before the interrupt is.
            fence(Ordering::SeqCst);
            let targets = SgiTargets::List(target.load(Ordering::Relaxed) as u8);
            self.distributor.write32(gicd::SGIR, gicd::encode_sgir(targets, IPI));
        }
    }
}

#[cfg(test)]
mod tests {
    use host_mmio::fake::Registers;

    use super::*;

    fn chip(distributor: &Registers, interface: &Registers) -> Gicv2 {
        let interface = interface.window();
        Gicv2 {
            name: "gic".into(),
            base: interface_base(&interface),
            distributor: distributor.window(),
            interface,
            lines: 96,
            senders: [const { AtomicU32::new(0) }; NUMBERS],
            targets: [const { AtomicU32::new(0) }; MAX_CPUS],
            guests: Once::new(),
        }
    }

    #[test]
    fn a_region_that_repeats_its_pages_is_used_at_its_last_copy() {
        let interface = Registers::new(ALIASED_LENGTH);
        assert_eq!(interface_base(&interface.window()), 0, "nothing is repeated");
        interface.set(gicc::IIDR, 0x0202_143b);
        interface.set(ALIASED + gicc::IIDR, 0x0202_143b);
        assert_eq!(interface_base(&interface.window()), ALIASED);
        assert_eq!(interface_base(&Registers::new(gicc::SIZE).window()), 0);
    }

    #[test]
    fn an_interrupt_is_claimed_and_ended_in_two_steps() {
        // Each thread is a CPU with another number; one of these is beyond what the hardware has.
        for _ in 0..=MAX_CPUS {
            std::thread::spawn(two_steps).join().unwrap();
        }
    }

    fn two_steps() {
        let interface = Registers::new(gicc::SIZE);
        let chip = chip(&Registers::new(gicd::SIZE_V2), &interface);
        let masked = IrqsOff::now();
        interface.script(gicc::IAR, &[33, 2 << 10 | 5, 1023]);
        assert_eq!(chip.claim(&masked), Some(33));
        chip.drop_priority(&masked, 33);
        assert_eq!(interface.get(gicc::EOIR), 33);
        assert_eq!(interface.get(gicc::DIR), 0);
        assert_eq!(chip.claim(&masked), Some(5));
        chip.drop_priority(&masked, 5);
        chip.deactivate(&masked, 5);
        assert_eq!(
            interface.get(gicc::DIR),
            2 << 10 | 5,
            "the end of a software-generated one names its sender"
        );
        assert_eq!(chip.claim(&masked), None);
    }

    #[test]
    fn shared_interrupts_start_silent_and_go_to_the_boot_cpu() {
        let distributor = Registers::new(gicd::SIZE_V2);
        distributor.set(gicd::ITARGETSR, 0x0404_0404);
        let chip = chip(&distributor, &Registers::new(gicc::SIZE));
        chip.start_distributor();
        assert_eq!(distributor.get(gicd::ITARGETSR + 92), 0x0404_0404);
        assert_eq!(distributor.get(gicd::ICENABLER + 4), u64::from(u32::MAX));
        assert_eq!(distributor.get(gicd::CTLR), 1);
    }
}
