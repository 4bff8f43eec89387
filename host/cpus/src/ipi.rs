//! CPUs interrupt each other by one line, whatever for: who is interrupted looks.

use alloc::boxed::Box;
use core::mem::ManuallyDrop;

use arch::{Cpu, CpuId, IrqsOff, Machine};
use atomic::{AtomicBool, Ordering};
use host_irq::{Line, LineError, Outcome, Trigger};

/// A panic is being told: all other CPUs stop.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Connects the line by which CPUs interrupt each other; `false` when the interrupt controller has none.
///
/// # Errors
/// Somebody has the line.
pub fn connect() -> Result<bool, LineError> {
    let Some(irq) = host_irq::ipi() else { return Ok(false) };
    let line = Line::on(irq, Trigger::EdgeRising, "ipi", Box::new(|masked, _| called(masked)))?;
    // For good: there is no state of this machine in which CPUs need not reach each other.
    let _line = ManuallyDrop::new(line);
    host_thread::set_kick(|cpu| host_irq::send_ipi(&IrqsOff::now(), cpu));
    Ok(true)
}

fn called(masked: &IrqsOff) -> Outcome {
    if STOPPED.load(Ordering::Relaxed) {
        Machine::halt();
    }
    host_thread::on_kick(masked);
    Outcome::Done
}

/// Stops all other CPUs, for a panic report. Takes no lock and does not wait.
pub fn stop_others() {
    STOPPED.store(true, Ordering::SeqCst);
    let masked = IrqsOff::now();
    let own = Machine::id(&masked);
    for cpu in host_thread::online().iter().filter(|cpu: &CpuId| *cpu != own) {
        host_irq::send_ipi(&masked, cpu);
    }
}
