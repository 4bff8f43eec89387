//! CPUs interrupt each other by one line, whatever for: who is interrupted looks.

use alloc::boxed::Box;
use core::mem::ManuallyDrop;

use arch::{Clock, Cpu, CpuId, IrqsOff, Machine, Nanos};
use atomic::{AtomicBool, AtomicU32, Ordering};
use host_irq::{Line, LineError, Outcome, Trigger};
use host_sync::{MAX_CPUS, PerCpu};

/// A panic is being told: all other CPUs stop.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// How often each CPU was interrupted by another.
static CALLS: PerCpu<AtomicU32> = PerCpu::new([const { AtomicU32::new(0) }; MAX_CPUS]);

/// How long an answer is waited for.
const PATIENCE: Nanos = Nanos::from_millis(1000);

/// Interrupts `cpu`, and says whether it answered within a second.
pub fn poke(cpu: CpuId) -> bool {
    let calls = CALLS.of(cpu);
    let before = calls.load(Ordering::Acquire);
    host_irq::send_ipi(&IrqsOff::now(), cpu);
    let limit = Machine::now().after(PATIENCE);
    while calls.load(Ordering::Acquire) == before {
        if Machine::now() > limit {
            return false;
        }
        host_thread::yield_now();
    }
    true
}

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
    CALLS.get(masked).fetch_add(1, Ordering::Release);
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
