//! The timer interrupt of RISC-V's supervisors (Priv, "Supervisor Timer Register"): the hypervisor's own alarm.
//!
//! The counter and its compare register are the architecture's, and no node of the tree describes them; this
//! driver goes to the processor's node and connects the interrupt.

use alloc::boxed::Box;

use arch::{IrqsOff, LocalIrqs, Machine};
use host_irq::{Line, LineError, Outcome};
use isa_rv::cause;

use crate::{Declined, Driver, Node, Running, Stage, power};

pub(crate) const DRIVER: Driver =
    Driver { name: "riscv-timer", class: "clock", stage: Stage::Clock, compatible: &["riscv"], start };

fn start(node: &Node<'_>) -> Result<Running, Declined> {
    if node.u64("reg") != Ok(Machine::hardware_id(&IrqsOff::now())) {
        return Err(Declined::NotMine);
    }
    let controller = node
        .children()
        .find(|child| child.is_compatible("riscv,cpu-intc"))
        .and_then(|child| child.phandle())
        .ok_or_else(|| Declined::broken("it has no interrupt controller (riscv,cpu-intc)"))?;
    let (irq, trigger) = match host_irq::translate(controller, &[cause::SUPERVISOR_TIMER]) {
        Ok(found) => found,
        Err(LineError::Later) => return Err(Declined::Later("the hart's interrupt controller".into())),
        Err(other) => return Err(other.into()),
    };
    let alarm = Line::on(
        irq,
        trigger,
        "timer",
        Box::new(|masked, _| {
            host_thread::time::on_alarm(masked);
            Outcome::Done
        }),
    )?;
    // The firmware has no node either.
    Ok(Box::new((alarm, power::sbi::start())))
}
