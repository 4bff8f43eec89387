//! GICv3 and GICv4 (IHI 0069): the distributor, the redistributors, and the processor's interface to them
//! through the architecture. "End of interrupt" drops the priority only (EOImode 1); deactivation is apart,
//! so that a guest can do it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{Cpu, CpuId, IrqsOff, LocalIrqs, Machine, Virt, VirtualInterface};
use atomic::Arc;
use host_irq::{BadSpecifier, Chip, Line, Trigger};
use host_mmio::Window;
use host_sync::{IrqOff, Spin};
use isa_gic::gicd;
use isa_gic::v3::{Affinity, gicr, irouter};

use super::distributor::Banks;
use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver =
    Driver { name: "gicv3", class: "irqchip", stage: Stage::IrqChip, compatible: &["arm,gic-v3"], start };

/// Looks at a register, at most, while the hardware makes up its mind.
const PATIENCE: u32 = 1_000_000;

/// The software-generated interrupt by which CPUs interrupt each other.
const IPI: u8 = 0;
/// Priority of the interrupt that calls a CPU out of its guest: below all others ([`super::PRIORITY`]), so that
/// guests that call each other without end do not keep those from coming.
const CALL_PRIORITY: u8 = 0xc0;

struct Gicv3 {
    name: String,
    distributor: Window,
    /// The regions with redistributors in them.
    regions: Vec<Window>,
    /// Bytes from one redistributor to the next, where the tree says it.
    stride: Option<u64>,
    lines: u32,
    /// The guests' timer interrupt.
    timer: u32,
    /// The CPUs that are up, and where their redistributors are.
    cpus: Spin<Vec<Redistributor>, IrqOff>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Redistributor {
    cpu: CpuId,
    affinity: Affinity,
    region: usize,
    offset: u64,
}

struct Started {
    _chip: Arc<Gicv3>,
    _maintenance: Option<Line>,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let phandle = super::phandle(node)?;
    let timer = super::guest_timer(node)?;
    let distributor = node.window(0)?;
    let count = node.u32_or("#redistributor-regions", 1)?;
    let regions = (1..=count as usize).map(|index| node.window(index)).collect::<Result<Vec<_>, _>>()?;
    let stride = node.property("redistributor-stride").map(|stride| stride.u64()).transpose()?;
    let lines = gicd::typer::interrupts(distributor.read32(gicd::TYPER));
    let chip = Arc::new(Gicv3 {
        name: node.name().into(),
        distributor,
        regions,
        stride: stride.filter(|stride| *stride != 0),
        lines,
        timer,
        cpus: Spin::new(Vec::with_capacity(1)),
    });
    let masked = IrqsOff::now();
    chip.start_distributor(&masked)?;
    chip.join(&masked)?;
    drop(masked);
    host_irq::publish(chip.clone(), phandle)?;
    vio::assist::publish(vio::assist::Assist::Registers);
    let maintenance = super::maintenance(node)?;
    Ok(Box::new(Started { _chip: chip, _maintenance: maintenance }))
}

/// The frame with the registers of one CPU's private interrupts.
struct Private<'c> {
    window: &'c Window,
    base: u64,
}

impl Private<'_> {
    fn banks(&self) -> Banks<'_> {
        Banks::new(self.window, self.base)
    }
    /// Where the frame is seen.
    fn address(&self) -> usize {
        self.window.address() + self.base as usize
    }
}

impl Gicv3 {
    /// Silences all shared interrupts, sends them to the asking CPU, and forwards group 1.
    fn start_distributor(&self, masked: &IrqsOff) -> Result<(), Declined> {
        let window = &self.distributor;
        window.write32(gicd::CTLR, 0);
        self.settled()?;
        let banks = Banks::new(window, 0);
        // Affinity routing first: it decides what the routing registers mean.
        window.write32(gicd::CTLR, gicd::ctlr::ARE);
        self.settled()?;
        banks.put_in_group1(32, self.lines);
        banks.silence(32, self.lines);
        let affinity = Affinity::from_mpidr(Machine::hardware_id(masked));
        for id in 32..self.lines {
            window.write64(gicd::irouter(id), affinity.mpidr() & irouter::AFFINITY);
        }
        window.write32(gicd::CTLR, gicd::ctlr::ARE | gicd::ctlr::ENABLE_GRP1);
        self.settled()
    }

    /// Waits until what was written has taken effect.
    fn settled(&self) -> Result<(), Declined> {
        wait_until(|| self.distributor.read32(gicd::CTLR) & gicd::ctlr::RWP == 0)
            .ok_or_else(|| Declined::broken("GICD_CTLR.RWP stays set"))
    }

    /// Prepares the asking CPU's redistributor, its interface, and the one of its guests.
    fn join(&self, masked: &IrqsOff) -> Result<(), Declined> {
        let affinity = Affinity::from_mpidr(Machine::hardware_id(masked));
        let (region, offset) = self.find(affinity).ok_or_else(|| {
            let id = affinity.mpidr();
            Declined::Broken(alloc::format!(
                "property \"reg\": no redistributor for the CPU with MPIDR {id:#x}"
            ))
        })?;
        let own = Redistributor { cpu: Machine::id(masked), affinity, region, offset };
        let missing = || Declined::broken("its redistributor is outside the region");
        let window = self.regions.get(region).ok_or_else(missing)?;
        let waker = window.read32(offset + gicr::WAKER);
        window.write32(offset + gicr::WAKER, waker & !gicr::waker::PROCESSOR_SLEEP);
        wait_until(|| window.read32(offset + gicr::WAKER) & gicr::waker::CHILDREN_ASLEEP == 0)
            .ok_or_else(|| Declined::broken("GICR_WAKER.ChildrenAsleep stays set"))?;
        let private = self.private(own).ok_or_else(missing)?;
        private.banks().put_in_group1(0, 32);
        private.banks().silence(0, 32);
        if !<Machine as LocalIrqs>::enable(masked) {
            return Err(Declined::broken("the processor has no system registers for it"));
        }
        if let Some(call) = <Machine as LocalIrqs>::CALL {
            private.banks().set_priority(call.into(), CALL_PRIORITY);
            private.banks().enable(call.into());
        }
        let mut cpus = self.cpus.lock();
        cpus.retain(|known| known.cpu != own.cpu);
        cpus.push(own);
        drop(cpus);
        let private = private.address();
        Machine::use_interface(
            masked,
            VirtualInterface::Processor {
                timer: self.timer,
                set_active: private + gicd::ISACTIVER as usize,
                clear_active: private + gicd::ICACTIVER as usize,
            },
        );
        Ok(())
    }

    /// The region and the offset in it of the redistributor with this affinity.
    fn find(&self, affinity: Affinity) -> Option<(usize, u64)> {
        for (index, window) in self.regions.iter().enumerate() {
            let mut offset = 0;
            while window.length().checked_sub(2 * gicr::FRAME).is_some_and(|last| offset <= last) {
                let typer = window.read64(offset + gicr::TYPER);
                if gicr::typer::affinity(typer) == affinity {
                    return Some((index, offset));
                }
                if typer & gicr::typer::LAST != 0 {
                    break;
                }
                offset += self.stride.unwrap_or(gicr::typer::stride(typer));
            }
        }
        None
    }

    fn private(&self, of: Redistributor) -> Option<Private<'_>> {
        let window = self.regions.get(of.region)?;
        Some(Private { window, base: of.offset + gicr::SGI_BASE })
    }

    /// Does something with the registers of an interrupt: the distributor's, or the asking CPU's own.
    fn with<R>(&self, irq: u32, act: impl FnOnce(Banks<'_>) -> R) -> Option<R> {
        if irq >= self.lines {
            return None;
        }
        if irq >= 32 {
            return Some(act(Banks::new(&self.distributor, 0)));
        }
        let masked = IrqsOff::now();
        let cpu = Machine::id(&masked);
        let own = self.cpus.lock().iter().find(|known| known.cpu == cpu).copied()?;
        Some(act(self.private(own)?.banks()))
    }
}

fn wait_until(mut ready: impl FnMut() -> bool) -> Option<()> {
    for _ in 0..PATIENCE {
        if ready() {
            return Some(());
        }
        Machine::relax();
    }
    None
}

impl Chip for Gicv3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn lines(&self) -> u32 {
        self.lines
    }

    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        super::translate(cells)
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
        let target = self.cpus.lock().iter().find(|known| known.cpu == cpu).map(|known| known.affinity);
        if let Some(affinity) = target
            && (32..self.lines).contains(&irq)
        {
            self.distributor.write64(gicd::irouter(irq), affinity.mpidr() & irouter::AFFINITY);
        }
    }

    fn is_per_cpu(&self, irq: u32) -> bool {
        irq < 32
    }

    fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        self.join(masked).map_err(|declined| alloc::format!("{}: {declined}", self.name))
    }

    fn stop_cpu(&self, masked: &IrqsOff) {
        let cpu = Machine::id(masked);
        let own = self.cpus.lock().iter().find(|known| known.cpu == cpu).copied();
        if let Some(private) = own.and_then(|own| self.private(own)) {
            private.banks().silence(0, 32);
        }
    }

    fn ipi(&self) -> Option<u32> {
        Some(IPI.into())
    }

    #[inline]
    fn send_ipi(&self, masked: &IrqsOff, cpu: CpuId) {
        Machine::send(masked, cpu, IPI);
    }
}

#[cfg(test)]
mod tests {
    use std::vec;

    use host_mmio::fake::Registers;

    use super::*;

    fn chip(regions: &[Registers], stride: Option<u64>) -> Gicv3 {
        Gicv3 {
            name: "gic".into(),
            distributor: Registers::new(gicd::SIZE_V3).window(),
            regions: regions.iter().map(Registers::window).collect(),
            stride,
            lines: 96,
            timer: 27,
            cpus: Spin::new(Vec::new()),
        }
    }

    fn place(region: &Registers, offset: u64, affinity: u32, flags: u64) {
        region.set(offset + gicr::TYPER, gicr::typer::compose(Affinity::new(affinity), 0) | flags);
    }

    #[test]
    fn a_redistributor_is_found_by_affinity_over_all_regions() {
        let regions = [Registers::new(8 * gicr::FRAME), Registers::new(4 * gicr::FRAME)];
        place(&regions[0], 0, 0, gicr::typer::VLPIS);
        place(&regions[0], 4 * gicr::FRAME, 1, gicr::typer::VLPIS | gicr::typer::LAST);
        place(&regions[1], 0, 0x100, 0);
        place(&regions[1], 2 * gicr::FRAME, 0x101, 0);
        let chip = chip(&regions, None);
        assert_eq!(chip.find(Affinity::new(1)), Some((0, 4 * gicr::FRAME)), "frames of GICv4 are four");
        assert_eq!(chip.find(Affinity::new(0x101)), Some((1, 2 * gicr::FRAME)));
        assert_eq!(chip.find(Affinity::new(7)), None, "the end of the region ends the search");
    }

    #[test]
    fn the_tree_may_say_how_far_apart_redistributors_are() {
        let regions = [Registers::new(8 * gicr::FRAME)];
        place(&regions[0], 4 * gicr::FRAME, 5, 0);
        assert_eq!(chip(&regions, Some(4 * gicr::FRAME)).find(Affinity::new(5)), Some((0, 4 * gicr::FRAME)));
    }

    #[test]
    fn shared_interrupts_start_silent_in_group_1_and_routed_here() {
        let distributor = Registers::new(gicd::SIZE_V3);
        let mut chip = chip(&[], None);
        chip.distributor = distributor.window();
        let masked = IrqsOff::now();
        chip.start_distributor(&masked).unwrap();
        let here = Affinity::from_mpidr(Machine::hardware_id(&masked)).mpidr();
        assert_eq!(distributor.get(gicd::ICENABLER + 4), u64::from(u32::MAX));
        assert_eq!(distributor.get(gicd::IGROUPR + 8), u64::from(u32::MAX));
        assert_eq!(distributor.get(gicd::irouter(95)), here);
        assert_eq!(distributor.get(gicd::CTLR), u64::from(gicd::ctlr::ARE | gicd::ctlr::ENABLE_GRP1));
        assert_eq!(vec![distributor.get(gicd::IGROUPR)], [0], "private interrupts are not the distributor's");
    }

    #[test]
    fn numbers_that_do_not_exist_are_ignored() {
        let chip = chip(&[], None);
        chip.enable(96);
        chip.enable(5000);
        chip.set_affinity(5000, CpuId(0));
        chip.set_priority(u32::MAX, 0);
    }
}
