//! Processors: who runs on which, what is masked, what is pending.

use core::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arch_api::{Cpu, CpuId, IrqEntry, IrqsOff, LocalIrqs, MAX_CPUS, Nanos, Nesting};
use atomic::{AtomicU32, Ordering};

use crate::registers::Fakes;
use crate::script::Scripts;
use crate::time::SLOWER;
use crate::{ALARM_IRQ, Hosted};

/// How long a processor with nothing to wait for is waited for before the test is called stuck.
const STUCK: Duration = Duration::from_secs(20);
/// So many interrupts in a row that change nothing are an interrupt that nobody handles.
const STORM: u32 = 100_000;

/// One processor. Leaked: it lives as long as any thread that may still run on it.
pub(crate) struct Block {
    pub(crate) id: CpuId,
    /// The first processor of the machine that this one belongs to.
    pub(crate) machine: CpuId,
    pub(crate) nesting: Nesting,
    pub(crate) masked: Cell<bool>,
    pub(crate) entry: Cell<Option<IrqEntry<Hosted>>>,
    /// Virtual time; `None` when the real clock is used.
    pub(crate) virtual_now: Cell<Option<Nanos>>,
    pub(crate) alarm: Cell<Option<Nanos>>,
    pub(crate) fakes: RefCell<Fakes>,
    pub(crate) scripts: RefCell<Scripts>,
    /// Thread that panicked on this processor, and how; told to the test's own thread.
    pub(crate) casualty: RefCell<Option<String>>,
    /// The test's own thread.
    pub(crate) root: RefCell<Option<atomic::Arc<crate::context::Baton>>>,
    lines: Lines,
}

/// The interrupts of a processor; other processors and threads of the operating system raise them.
struct Lines {
    state: Mutex<LineState>,
    raised: Condvar,
}

#[derive(Default)]
struct LineState {
    pending: BTreeSet<u32>,
    active: BTreeSet<u32>,
}

/// A processor's block as it goes from thread to thread.
#[derive(Clone, Copy)]
pub(crate) struct Handed(pub(crate) &'static Block);

// SAFETY: all fields but `lines` are used by the thread that has the baton alone, and handing it over
// (a mutex) orders the uses; `lines` is itself thread-safe.
#[expect(unsafe_code, reason = "a processor's data follows its running thread")]
unsafe impl Send for Handed {}

std::thread_local! {
    static CPU: Cell<Option<&'static Block>> = const { Cell::new(None) };
}

static MADE: AtomicU32 = AtomicU32::new(0);
static ALL: Mutex<Vec<AllOf>> = Mutex::new(Vec::new());

/// What others may touch of a processor.
#[derive(Clone, Copy)]
struct AllOf(&'static Lines, CpuId);

/// A lock whose holder may have panicked: a test that fails must not fail its neighbours.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The processor that this thread runs on.
pub(crate) fn here() -> &'static Block {
    CPU.get().unwrap_or_else(power_on)
}

/// This thread goes on, on this processor.
pub(crate) fn run_on(cpu: Handed) {
    CPU.set(Some(cpu.0));
}

#[cold]
fn power_on() -> &'static Block {
    let block = make(None);
    CPU.set(Some(block));
    block
}

/// One more processor, which nothing runs on yet, of the machine of `first` or of one of its own.
pub(crate) fn make(first: Option<CpuId>) -> &'static Block {
    let mut all = lock(&ALL);
    let id = MADE.fetch_add(1, Ordering::Relaxed);
    assert!((id as usize) < MAX_CPUS, "more than {MAX_CPUS} threads called into the hosted architecture");
    let block: &'static Block = Box::leak(Box::new(Block {
        id: CpuId(id),
        machine: first.unwrap_or(CpuId(id)),
        nesting: Nesting::new(),
        masked: Cell::new(false),
        entry: Cell::new(None),
        virtual_now: Cell::new(Some(Nanos::from_millis(1))),
        alarm: Cell::new(None),
        fakes: RefCell::default(),
        scripts: RefCell::default(),
        casualty: RefCell::new(None),
        root: RefCell::new(None),
        lines: Lines { state: Mutex::default(), raised: Condvar::new() },
    }));
    all.push(AllOf(&block.lines, block.machine));
    block
}

impl Lines {
    fn raise(&self, irq: u32) {
        lock(&self.state).pending.insert(irq);
        self.raised.notify_all();
    }
}

/// Makes `irq` pending on processor `cpu`; nothing happens when there is no such processor.
pub(crate) fn raise_on(cpu: CpuId, irq: u32) {
    let lines = usize::try_from(cpu.0).ok().and_then(|index| lock(&ALL).get(index).copied());
    if let Some(AllOf(lines, _)) = lines {
        lines.raise(irq);
    }
}

/// The first processor of the machine that `cpu` belongs to.
pub(crate) fn machine_of(cpu: CpuId) -> Option<CpuId> {
    lock(&ALL).get(cpu.0 as usize).map(|all| all.1)
}

impl Block {
    pub(crate) fn now(&self) -> Nanos {
        self.virtual_now.get().unwrap_or_else(crate::time::real)
    }

    fn alarm_is_due(&self) -> bool {
        self.alarm.get().is_some_and(|at| at <= self.now())
    }

    /// The most urgent interrupt that waits to be taken.
    fn most_urgent(&self, state: &LineState) -> Option<u32> {
        let line = state.pending.iter().copied().find(|irq| !state.active.contains(irq));
        let alarm = (self.alarm_is_due() && !state.active.contains(&ALARM_IRQ)).then_some(ALARM_IRQ);
        line.into_iter().chain(alarm).min()
    }

    pub(crate) fn is_pending(&self) -> bool {
        self.most_urgent(&lock(&self.lines.state)).is_some()
    }

    pub(crate) fn is_active(&self, irq: u32) -> bool {
        lock(&self.lines.state).active.contains(&irq)
    }
}

/// Takes interrupts for as long as some are pending, if they are not masked.
pub(crate) fn deliver() {
    for _ in 0..STORM {
        let cpu = here();
        if cpu.masked.get() || !cpu.is_pending() {
            return;
        }
        let Some(entry) = cpu.entry.get() else {
            panic!("an interrupt is pending, and nobody called Hosted::on_interrupt")
        };
        cpu.masked.set(true);
        IrqsOff::<Hosted>::in_vector(entry);
        // The same processor or, after a switch inside, the one that this thread now runs on.
        here().masked.set(false);
    }
    panic!("interrupt storm: the entry returns, and the interrupt is still pending");
}

#[expect(unsafe_code, reason = "the contract has an unsafe member")]
impl Cpu for Hosted {
    fn mask_irqs() -> bool {
        !here().masked.replace(true)
    }
    unsafe fn unmask_irqs() {
        here().masked.set(false);
        // A test that fails unwinds through guards; nothing may run on its behalf then.
        if !std::thread::panicking() {
            deliver();
        }
    }
    fn nesting(_: &IrqsOff<Self>) -> &'static Nesting {
        &here().nesting
    }
    fn nesting_here() -> &'static Nesting {
        &here().nesting
    }
    fn wait(_: &IrqsOff<Self>) {
        let cpu = here();
        let mut state = lock(&cpu.lines.state);
        while cpu.most_urgent(&state).is_none() {
            let patience = match (cpu.alarm.get(), cpu.virtual_now.get()) {
                (Some(at), Some(_)) => {
                    cpu.virtual_now.set(Some(at));
                    return;
                }
                (Some(at), None) => Some(Duration::from_nanos(at.since(cpu.now()).0)),
                (None, _) => None,
            };
            let (back, timeout) = cpu
                .lines
                .raised
                .wait_timeout(state, patience.unwrap_or(STUCK) * SLOWER)
                .unwrap_or_else(PoisonError::into_inner);
            state = back;
            assert!(
                patience.is_some() || !timeout.timed_out() || cpu.most_urgent(&state).is_some(),
                "stuck: {} waits for an interrupt, no alarm is set, and nobody raised one",
                cpu.id
            );
        }
    }
    fn relax() {
        // Virtual time passes for those who wait by spinning.
        let cpu = here();
        cpu.virtual_now.set(cpu.virtual_now.get().map(|now| now.after(Nanos(100))));
        std::thread::yield_now();
    }
    fn id(_: &IrqsOff<Self>) -> CpuId {
        here().id
    }
    fn halt() -> ! {
        panic!("{} was halted", here().id)
    }
    fn on_interrupt(entry: IrqEntry<Self>) {
        here().entry.set(Some(entry));
    }
}

impl LocalIrqs for Hosted {
    fn enable(_: &IrqsOff<Self>) -> bool {
        true
    }
    fn claim(_: &IrqsOff<Self>) -> Option<u32> {
        let cpu = here();
        let mut state = lock(&cpu.lines.state);
        let irq = cpu.most_urgent(&state)?;
        state.pending.remove(&irq);
        state.active.insert(irq);
        Some(irq)
    }
    fn drop_priority(_: &IrqsOff<Self>, irq: u32) {
        assert!(here().is_active(irq), "interrupt {irq} is not active, and its priority was dropped");
    }
    fn deactivate(_: &IrqsOff<Self>, irq: u32) {
        let was_active = lock(&here().lines.state).active.remove(&irq);
        assert!(was_active, "interrupt {irq} is not active, and was deactivated");
    }
    fn send(_: &IrqsOff<Self>, cpu: CpuId, number: u8) {
        raise_on(cpu, u32::from(number));
    }
    fn hardware_id(_: &IrqsOff<Self>) -> u64 {
        u64::from(here().id.0)
    }
}
