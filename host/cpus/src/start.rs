//! A CPU comes up and goes down.
#![expect(unsafe_code, reason = "the contract hands a stack to a CPU that begins")]

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use arch::{Clock, Cpu, CpuId, CpuStart, IrqsOff, LocalIrqs, Machine, Nanos, Processors, Virt};
use atomic::{Arc, AtomicU64, Ordering};
use host_sync::Spin;
use host_thread::processors::{self, IdleStack};

use crate::{CpuError, EnableMethod, State, find, with};

/// How long a CPU is waited for.
const PATIENCE: Nanos = Nanos::from_millis(1000);

/// One comes up or goes down at a time.
static CHANGING: host_thread::Mutex<()> = host_thread::Mutex::new(());
/// The hardware id of the CPU that is waited for, plus one; 0 for none. It, or who waits for it no longer, takes
/// this back: so a CPU that comes too late finds out.
static AWAITED: AtomicU64 = AtomicU64::new(0);
/// What became of the CPU that comes up: itself says so.
static NEWS: Spin<Option<News>, host_sync::IrqOff> = Spin::new(None);

/// The hardware id of a CPU, and whether it is ready for threads.
type News = (u64, Result<(), String>);

/// Brings a CPU up that was taken down, or did not come up before.
///
/// # Errors
/// There is no such CPU, it is online, or it does not come.
pub fn online(cpu: CpuId) -> Result<(), CpuError> {
    let _one = CHANGING.lock();
    let hardware_id = find(cpu)?;
    if with(hardware_id, |entry| entry.state == State::Online).unwrap_or(false) {
        return Err(CpuError::Already(cpu, State::Online));
    }
    bring_up(hardware_id).map_err(|(_, why)| CpuError::Failed(cpu, why))
}

/// Brings up the CPU with this hardware id.
///
/// # Errors
/// The path of its node, and why not.
pub(crate) fn bring_up(hardware_id: u64) -> Result<(), (String, String)> {
    let known = with(hardware_id, |entry| (entry.path.clone(), entry.method.clone(), entry.cpu));
    let Some((path, method, before)) = known else {
        return Err((String::new(), format!("no CPU has the hardware id {hardware_id:#x}")));
    };
    let result = try_bring_up(hardware_id, method, before);
    let state = match &result {
        Ok(()) => State::Online,
        Err(why) => State::Failed(why.clone()),
    };
    with(hardware_id, |entry| entry.state = state);
    result.map_err(|why| (path, why))
}

fn try_bring_up(
    hardware_id: u64,
    method: Option<Arc<dyn EnableMethod>>,
    before: Option<CpuId>,
) -> Result<(), String> {
    let method = method.ok_or("there is no driver for its enable-method")?;
    if !method.is_off(hardware_id) {
        return Err("it is on already, and does not say what it does".to_string());
    }
    let start = prepare(hardware_id, before)?;
    with(hardware_id, |entry| entry.cpu = Some(start.cpu));
    *NEWS.lock() = None;
    AWAITED.store(hardware_id + 1, Ordering::SeqCst);
    method.start(hardware_id, start)?;
    let limit = Machine::now().after(PATIENCE);
    loop {
        let news = NEWS.lock().take();
        match news {
            Some((who, Err(why))) if who == hardware_id => return Err(why),
            Some((who, Ok(()))) if who == hardware_id => break,
            _ if Machine::now() > limit && is_ours(hardware_id) => {
                return Err(format!("does not come up within {} ms", PATIENCE.0 / 1_000_000));
            }
            _ => Machine::relax(),
        }
    }
    // It told this as its last step but one: what is asked for next may need threads there.
    while !host_thread::online().contains(start.cpu) {
        Machine::relax();
    }
    Ok(())
}

/// Takes the right to decide about the CPU that is waited for; only one gets it.
fn is_ours(hardware_id: u64) -> bool {
    AWAITED.compare_exchange(hardware_id + 1, 0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
}

/// Makes what the CPU begins with.
fn prepare(hardware_id: u64, before: Option<CpuId>) -> Result<CpuStart, String> {
    const NO_MEMORY: &str = "no memory for its stack and its private block";
    let (stack, top) = match before {
        Some(cpu) => (None, processors::stack_top(cpu)),
        None => {
            let stack = IdleStack::new().map_err(|_| NO_MEMORY)?;
            let top = stack.top();
            (Some(stack), top)
        }
    };
    // SAFETY: the stack is that of the CPU's idle thread, on which nobody runs while the CPU does not, and it is
    // never freed. The CPU is off: it was never started by us, or was seen to be off.
    let start = unsafe { Machine::prepare_cpu(hardware_id, top, secondary) }.ok_or(NO_MEMORY)?;
    if let Some(stack) = stack {
        processors::prepare(start.cpu, stack);
    }
    Ok(start)
}

/// Where a further CPU goes on after the architecture's start-up.
extern "C" fn secondary() -> ! {
    let masked = IrqsOff::now();
    if !is_ours(Machine::hardware_id(&masked)) {
        // Too late: it was given up.
        last_step(&masked);
    }
    let result = host_irq::start_cpu(&masked)
        .and_then(|()| <Machine as Virt>::enable(&masked).map_err(|arch::NoVirt(why)| why.to_string()));
    if let Ok(less) = &result
        && !less.is_empty()
    {
        let (id, less) = (Machine::hardware_id(&masked), less.join(", "));
        host_log::note!("CPU {id:#x} has less than those before it, and so have guests from now on: {less}");
    }
    let result = result.map(drop);
    let failed = result.is_err();
    *NEWS.lock() = Some((Machine::hardware_id(&masked), result));
    if failed {
        last_step(&masked);
    }
    processors::run_idle(masked)
}

/// The end of a CPU that stops.
fn last_step(masked: &IrqsOff) -> ! {
    host_irq::stop_cpu(masked);
    let hardware_id = Machine::hardware_id(masked);
    let method = with(hardware_id, |entry| entry.method.clone()).flatten();
    if let Some(method) = method {
        method.stop();
    }
    Machine::halt()
}

/// Takes a CPU down: its threads, timers and interrupts go to others.
///
/// # Errors
/// There is no such CPU, it is not online or the last one that is, an interrupt has nowhere else to come, or a thread
/// does not leave it. Then it goes on.
pub fn offline(cpu: CpuId) -> Result<(), CpuError> {
    let _one = CHANGING.lock();
    let hardware_id = find(cpu)?;
    let failed = |why: String| CpuError::Failed(cpu, why);
    let known = with(hardware_id, |entry| (entry.state.clone(), entry.method.clone()));
    let (state, method) = known.ok_or(CpuError::NoSuchCpu(cpu))?;
    if state != State::Online {
        return Err(CpuError::Already(cpu, State::Offline));
    }
    let method = method
        .filter(|method| method.can_stop())
        .ok_or_else(|| failed("its enable-method cannot stop it so that it could come back".to_string()))?;
    processors::set_last_step(last_step);
    let heirs: Vec<CpuId> = host_thread::online().iter().filter(|other| *other != cpu).collect();
    if !heirs.is_empty() {
        host_irq::leave_cpu(cpu, &heirs).map_err(|why| failed(why.to_string()))?;
    }
    let astray = processors::stop(cpu).map_err(|why| failed(why.to_string()))?;
    for name in astray {
        host_log::note!("{name}: its affinity allows no CPU that is online; it goes on elsewhere");
    }
    let limit = Machine::now().after(PATIENCE);
    while !method.is_off(hardware_id) {
        if Machine::now() > limit {
            let why = "was emptied, and does not stop".to_string();
            with(hardware_id, |entry| entry.state = State::Failed(why.clone()));
            return Err(failed(why));
        }
        host_thread::sleep(Nanos::from_millis(1));
    }
    with(hardware_id, |entry| entry.state = State::Offline);
    Ok(())
}
