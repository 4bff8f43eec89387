//! A hart's own interrupt controller (Priv, "Supervisor Interrupt Registers"; Linux bindings,
//! `riscv,cpu-intc.yaml`): the root of all others. Its lines are local causes, inter-processor interrupts, and
//! the messages of the hart's interrupt file, numbered as `isa_rv::local` says.
//!
//! Every hart has such a node; lines are taken at the one of the hart that started, and come on each.

use alloc::boxed::Box;
use alloc::string::String;

use arch::{CpuId, IrqsOff, LocalIrqs, Machine};
use atomic::Arc;
use host_irq::{BadSpecifier, Chip, Trigger};
use isa_rv::local;

use crate::{Declined, Driver, Node, Running, Stage};

pub(crate) const DRIVER: Driver = Driver {
    name: "riscv-intc",
    class: "irqchip",
    stage: Stage::IrqChip,
    compatible: &["riscv,cpu-intc"],
    start,
};

/// Identities of an interrupt file, at most (AIA, 3.1).
const IDENTITIES: u32 = 2048;
/// The inter-processor interrupt that is used.
const IPI: u32 = 0;

struct Intc {
    name: String,
}

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    let masked = IrqsOff::now();
    let parent = node.parent().ok_or_else(|| Declined::broken("it is below no processor"))?;
    if parent.u64("reg") != Ok(Machine::hardware_id(&masked)) {
        return Err(Declined::NotMine);
    }
    let phandle = super::phandle(node)?;
    Machine::enable(&masked);
    drop(masked);
    let chip = Arc::new(Intc { name: node.name().into() });
    host_irq::publish(chip.clone(), phandle)?;
    Ok(Box::new(chip))
}

impl Chip for Intc {
    fn name(&self) -> &str {
        &self.name
    }
    fn lines(&self) -> u32 {
        local::FIRST_MESSAGE + IDENTITIES
    }
    fn translate(&self, cells: &[u32]) -> Result<(u32, Trigger), BadSpecifier> {
        match cells {
            [cause] if *cause < local::CAUSES => Ok((local::cause(*cause), Trigger::LevelHigh)),
            _ => Err(BadSpecifier),
        }
    }
    fn enable(&self, irq: u32) {
        Machine::set_enabled(&IrqsOff::now(), irq, true);
    }
    fn disable(&self, irq: u32) {
        Machine::set_enabled(&IrqsOff::now(), irq, false);
    }
    fn set_trigger(&self, _irq: u32, _trigger: Trigger) {}
    fn is_per_cpu(&self, irq: u32) -> bool {
        irq < local::FIRST_MESSAGE
    }
    fn start_cpu(&self, masked: &IrqsOff) -> Result<(), String> {
        Machine::enable(masked);
        super::sswi::start_cpu(masked);
        Ok(())
    }
    fn ipi(&self) -> Option<u32> {
        Some(IPI)
    }
    #[inline]
    fn send_ipi(&self, masked: &IrqsOff, cpu: CpuId) {
        Machine::send(masked, cpu, IPI as u8);
    }
}
