//! The threads of a guest's CPUs, and what the rest of the machine sees of them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use addr::Gpa;
use arch::{Nanos, PowerOn};
use atomic::{Arc, AtomicBool, AtomicU8, AtomicU64, Ordering};
use host_sync::{Once, Spin};
use host_thread::{Completion, Options, SpawnError, Thread};
use vm_bus::VcpuWaker;
use vm_vcpu::{Asked, CpuState, ExitStats, Mailbox, PowerError, PowerRequest, Runner, Stop};

use crate::errand::Errands;
use crate::rest::{Rest, Rests};
use crate::resting::Resting;
use crate::schedule::Schedule;

/// What a virtual CPU does, as a list shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum VcpuState {
    /// It was not powered on, or is off again.
    Reset,
    /// It could run, and waits for a host CPU or an interrupt.
    Ready,
    /// It runs.
    Running,
    /// It is held.
    Paused,
    /// It can't go on, or was told not to.
    Halted,
}

impl core::fmt::Display for VcpuState {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(match self {
            Self::Reset => "Reset",
            Self::Ready => "Ready",
            Self::Running => "Running",
            Self::Paused => "Paused",
            Self::Halted => "Halted",
        })
    }
}

const OFF: u8 = 0;
const PENDING: u8 = 1;
const ON: u8 = 2;

/// One CPU of a guest, seen from outside its thread.
pub struct Vcpu {
    name: String,
    index: u32,
    hardware_id: u64,
    pub(crate) mailbox: Arc<Mailbox>,
    power: AtomicU8,
    resting: Resting,
    halted: AtomicBool,
    /// The guest suspended it by a firmware call.
    suspended: AtomicBool,
    from: Spin<PowerOn>,
    thread: Once<Thread>,
    show: Spin<Option<Arc<Show>>>,
    resets: AtomicU64,
    rests: Rests,
    exits: Once<Arc<ExitStats>>,
    errands: Arc<Errands>,
}

/// Somebody waits for the registers.
#[derive(Default)]
struct Show {
    text: Spin<String>,
    done: Completion,
}

impl Vcpu {
    pub(crate) fn new(guest: &str, index: u32, hardware_id: u64, errands: Arc<Errands>) -> Arc<Self> {
        Arc::new(Self {
            name: format!("{guest}/vcpu{index}"),
            index,
            hardware_id,
            mailbox: Arc::new(Mailbox::new()),
            power: AtomicU8::new(OFF),
            resting: Resting::new(),
            halted: AtomicBool::new(false),
            suspended: AtomicBool::new(false),
            from: Spin::new(PowerOn { entry: Gpa::new(0), argument: 0 }),
            thread: Once::new(),
            show: Spin::new(None),
            resets: AtomicU64::new(0),
            rests: Rests::default(),
            exits: Once::new(),
            errands,
        })
    }

    /// The name: guest and number, as in `guest0/vcpu0`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number within the guest.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// What the CPU calls itself (MPIDR's affinity fields on Arm).
    pub fn hardware_id(&self) -> u64 {
        self.hardware_id
    }

    /// The thread, for its statistics and its priority.
    pub fn thread(&self) -> Option<&Thread> {
        self.thread.get()
    }

    /// How often it was reset.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// How long it was out of its guest because it was paused, halted, or off.
    pub fn rested(&self, why: Rest) -> Nanos {
        self.rests.sum(why)
    }

    /// What its exits were for.
    pub fn exits(&self) -> Option<&ExitStats> {
        self.exits.get().map(|exits| &**exits)
    }

    /// What it does.
    pub fn state(&self) -> VcpuState {
        if self.halted.load(Ordering::SeqCst) {
            return VcpuState::Halted;
        }
        if self.power.load(Ordering::SeqCst) == OFF {
            return VcpuState::Reset;
        }
        if self.mailbox.asked().any(Asked::HOLD | Asked::PAUSE) {
            return VcpuState::Paused;
        }
        match self.thread().map(Thread::state) {
            Some(host_thread::State::Running) => VcpuState::Running,
            _ => VcpuState::Ready,
        }
    }

    /// Keeps it out of the guest until [`Vcpu::resume`]. `false` when it is not on.
    pub fn pause(&self) -> bool {
        let able = matches!(self.state(), VcpuState::Ready | VcpuState::Running);
        if able {
            self.ask(Asked::PAUSE);
        }
        able
    }

    /// Lets it go on. `false` when it was not paused alone.
    pub fn resume(&self) -> bool {
        let able = self.mailbox.asked().any(Asked::PAUSE);
        self.mailbox.clear(Asked::PAUSE);
        self.wake();
        able
    }

    /// Stops it where it is, until its machine is reset. `false` when it is not on.
    pub fn halt(&self) -> bool {
        let able = !matches!(self.state(), VcpuState::Reset | VcpuState::Halted);
        if able {
            self.ask(Asked::HALT);
        }
        able
    }

    /// Prints its registers, as soon as its thread comes to it.
    pub fn show(&self, out: &mut dyn core::fmt::Write) -> core::fmt::Result {
        let show = Arc::new(Show::default());
        *self.show.lock() = Some(show.clone());
        self.ask(Asked::SHOW);
        // A machine that is being taken apart does not answer any more.
        let limit = host_thread::time::now().after(Nanos::from_millis(2_000));
        if !show.done.wait_until(limit) {
            return writeln!(out, "{}: no answer", self.name);
        }
        out.write_str(&core::mem::take(&mut *show.text.lock()))
    }

    pub(crate) fn ask(&self, what: Asked) {
        self.mailbox.ask(what);
        self.wake();
    }

    /// Whether the thread is out of the guest and has done what `edges` asked.
    pub(crate) fn rests(&self, edges: Asked) -> bool {
        self.resting.is_resting() && !self.mailbox.asked().any(edges)
    }

    /// Orders the CPU to begin at `from`.
    pub(crate) fn power_on(&self, from: PowerOn) -> Result<(), PowerError> {
        match self.power.compare_exchange(OFF, PENDING, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                *self.from.lock() = from;
                self.ask(Asked::START);
                Ok(())
            }
            Err(PENDING) => Err(PowerError::OnPending),
            Err(_) => Err(PowerError::AlreadyOn),
        }
    }

    pub(crate) fn set_suspended(&self, suspended: bool) {
        self.suspended.store(suspended, Ordering::SeqCst);
    }

    pub(crate) fn power(&self) -> CpuState {
        match self.power.load(Ordering::SeqCst) {
            OFF => CpuState::Off,
            PENDING => CpuState::OnPending,
            _ if self.suspended.load(Ordering::SeqCst) => CpuState::Suspended,
            _ => CpuState::On,
        }
    }
}

impl VcpuWaker for Vcpu {
    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.wake();
        }
    }
    fn wake_at(&self, at: Nanos) {
        if let Some(thread) = self.thread.get() {
            thread.alarm(Some(at));
        }
    }
}

/// Starts the thread of a CPU; it waits to be powered on. `reset` is called right before each start.
pub(crate) fn spawn(
    vcpu: &Arc<Vcpu>,
    runner: Runner,
    schedule: Schedule,
    reset: impl Fn(u32) + Send + 'static,
) -> Result<Thread, SpawnError> {
    let options = Options::new(vcpu.name.clone()).attributes(schedule.attributes).affinity(schedule.affinity);
    let options = options.waits(runner.waits().clone());
    // The first is the only one: a virtual CPU has one thread.
    let _ = vcpu.exits.set(runner.exits().clone());
    let mut body = Body { vcpu: vcpu.clone(), runner, reset };
    let thread = host_thread::spawn(options, Box::new(move || body.live()))?;
    // The thread does not need its own handle; who wakes it before this line set a bit that it will see.
    let _ = vcpu.thread.set(thread.clone());
    thread.wake();
    Ok(thread)
}

struct Body<F> {
    vcpu: Arc<Vcpu>,
    runner: Runner,
    reset: F,
}

impl<F: Fn(u32)> Body<F> {
    fn live(&mut self) {
        loop {
            let asked = self.vcpu.mailbox.asked();
            if asked.any(Asked::END) {
                return;
            }
            self.obey(asked);
            if self.may_run() {
                self.run();
            } else {
                self.vcpu.rests.begin(match self.vcpu.state() {
                    VcpuState::Halted => Rest::Halted,
                    VcpuState::Reset => Rest::Off,
                    _ => Rest::Paused,
                });
                host_thread::park();
                self.vcpu.rests.end();
            }
        }
    }

    /// Does what is asked once, and reports it as done.
    fn obey(&mut self, asked: Asked) {
        let vcpu = &self.vcpu;
        if asked.any(Asked::OFF) {
            vcpu.power.store(OFF, Ordering::SeqCst);
            vcpu.halted.store(false, Ordering::SeqCst);
            vcpu.resets.fetch_add(1, Ordering::Relaxed);
            // An order to start that came before is void; who gave it is off as well.
            vcpu.mailbox.clear(Asked::START | Asked::HALT | Asked::PAUSE | Asked::OFF);
        } else if asked.any(Asked::HALT) {
            vcpu.halted.store(true, Ordering::SeqCst);
            vcpu.mailbox.clear(Asked::HALT);
        } else if asked.any(Asked::START) {
            vcpu.mailbox.clear(Asked::START);
            // What the guest took and ended before it went off must not come again.
            self.runner.refresh();
            (self.reset)(vcpu.index);
            let from = *vcpu.from.lock();
            self.runner.start(from);
            vcpu.power.store(ON, Ordering::SeqCst);
        }
        if asked.any(Asked::SHOW) {
            vcpu.mailbox.clear(Asked::SHOW);
            let show = vcpu.show.lock().take();
            if let Some(show) = show {
                let mut text = String::new();
                // A `String` takes everything.
                let _ = self.runner.show(&mut text);
                *show.text.lock() = text;
                show.done.complete();
            }
        }
        if asked.any(Asked::OFF | Asked::HALT | Asked::HOLD) {
            vcpu.errands.wake();
        }
    }

    /// Leaves rest if the guest may run.
    fn may_run(&self) -> bool {
        let vcpu = &self.vcpu;
        if vcpu.power.load(Ordering::SeqCst) != ON || vcpu.halted.load(Ordering::SeqCst) {
            // A token may have been for what came meanwhile; the caller parks, and a token ends that.
            return false;
        }
        vcpu.resting.leave(|| !vcpu.mailbox.asked().is_nothing())
    }

    fn run(&mut self) {
        loop {
            let stop = self.runner.run();
            match stop {
                Stop::Idle => {
                    if !self.runner.has_pending() {
                        match self.runner.wakes_at() {
                            Some(at) => drop(host_thread::park_until(at)),
                            None => host_thread::park(),
                        }
                    }
                    continue;
                }
                Stop::Yield => {
                    host_thread::yield_now();
                    continue;
                }
                Stop::Asked(_) => {}
                Stop::Power(request) => self.power(request),
                Stop::Refused(why) => {
                    let pc = self.runner.pc();
                    host_log::error!(
                        "{}: halted at pc {pc:#x}: the hardware refuses ({why:#x})",
                        self.vcpu.name
                    );
                    self.vcpu.halted.store(true, Ordering::SeqCst);
                }
            }
            self.vcpu.resting.begin();
            self.vcpu.errands.wake();
            return;
        }
    }

    fn power(&self, request: PowerRequest) {
        match request {
            PowerRequest::CpuOff => self.vcpu.power.store(OFF, Ordering::SeqCst),
            // The machine's errand thread does it; until then this CPU stays out of the guest.
            PowerRequest::SystemOff | PowerRequest::SystemReset => {
                self.vcpu.mailbox.ask(Asked::HOLD);
                self.vcpu.errands.power(request);
            }
        }
    }
}
