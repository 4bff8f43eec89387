//! Virtual CPUs that do what a test tells them to, and keep what they were answered.
//!
//! A test writes the guest's program as [`Step`]s: a [`Step::Read`] of an address that the space maps
//! reads memory; of any other, it exits. When the program is at its end the CPU waits for interrupts.
//!
//! ```
//! use arch_hosted::script::{self, Step};
//! let program = script::of_vcpu(0); // the next virtual CPU made with index 0 follows it
//! program.then(Step::Wait);
//! ```

use core::fmt;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc as StdArc, Mutex};

use addr::Gpa;
use arch_api::{
    Call, Clock, Conduit, Exit, GuestCpu, GuestFault, GuestPort, GuestProfile, Held, IrqSlot, IrqsOff, Nanos,
    NoVirt, Place, PowerOn, Read, Rights, SlotState, Tally, Untyped, Virt, VirtualInterface, Waits, Width,
    Write,
};
use atomic::Arc;

use crate::{Hosted, HostedSpace, cpu};

/// How many interrupts the scripted CPU's hardware holds: as many as a small GICv2 has.
pub const SLOTS: usize = 4;

/// One thing that the guest does.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// Read.
    Read(Place, Width),
    /// Write a value.
    Write(Place, Width, u64),
    /// Call, with an immediate and the argument registers.
    Call(Conduit, u16, [u64; 8]),
    /// Wait for an interrupt; passes at once while one is pending.
    Wait,
    /// Let another CPU run.
    Yield,
    /// Compute for so long (virtual time passes), interruptible by the host.
    Compute(Nanos),
    /// Be interrupted by the host once.
    Host,
    /// Do something for which an exception is due.
    Fault(GuestFault),
    /// Be refused by the hardware.
    Refused(u64),
    /// Acknowledge the most urgent pending interrupt.
    Acknowledge,
    /// End an active interrupt.
    End(u32),
    /// Set the CPU's own timer, or stop it.
    SetTimer(Option<Nanos>),
}

impl Step {
    /// Read guest-physical memory.
    pub const fn load(at: u64, width: Width) -> Self {
        Self::Read(Place::Memory(Gpa::new(at)), width)
    }
    /// Write guest-physical memory.
    pub const fn store(at: u64, width: Width, value: u64) -> Self {
        Self::Write(Place::Memory(Gpa::new(at)), width, value)
    }
    /// Call the hypervisor by the standard convention.
    pub const fn hvc([x0, x1, x2, x3]: [u64; 4]) -> Self {
        Self::Call(Conduit::Hypervisor, 0, [x0, x1, x2, x3, 0, 0, 0, 0])
    }
    /// Call the firmware by the SBI: extension, function, a0 to a3.
    pub const fn ecall(extension: u64, function: u64, [a0, a1, a2, a3]: [u64; 4]) -> Self {
        Self::Call(Conduit::Environment, 0, [a0, a1, a2, a3, 0, 0, function, extension])
    }
}

/// What happened to the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// It was started.
    Started(PowerOn),
    /// A read gave this.
    Read(Result<u64, GuestFault>),
    /// A write was done, or not.
    Wrote(Result<(), GuestFault>),
    /// A call returned so many registers, and these.
    Called(usize, [u64; 4]),
    /// An exception happened.
    Injected(GuestFault),
    /// It acknowledged this interrupt, or there was none.
    Acknowledged(Option<u32>),
    /// A count of its own was set.
    Counts(Tally, Option<u64>, bool),
}

/// A guest's program, shared by the test and the virtual CPU.
#[derive(Clone, Default)]
pub struct Program(StdArc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    steps: VecDeque<Step>,
    events: Vec<Event>,
    /// The guest's virtual memory, as far as it is asked for.
    words: BTreeMap<u64, u64>,
}

/// The programs that wait for their virtual CPU to be made, by its index.
#[derive(Default)]
pub(crate) struct Scripts(BTreeMap<u32, VecDeque<Program>>);

/// The program of the next virtual CPU that is made with this index, on this test's processor.
pub fn of_vcpu(index: u32) -> Program {
    let program = Program::default();
    cpu::here().scripts.borrow_mut().0.entry(index).or_default().push_back(program.clone());
    program
}

impl Program {
    /// Adds a step at the end.
    pub fn then(&self, step: Step) -> &Self {
        cpu::lock(&self.0).steps.push_back(step);
        self
    }
    /// Writes 64 bits of the guest's virtual memory, for calls whose arguments lie there.
    pub fn set_word(&self, at: u64, value: u64) {
        cpu::lock(&self.0).words.insert(at, value);
    }
    /// What happened so far; the next call begins after it.
    pub fn take_events(&self) -> Vec<Event> {
        core::mem::take(&mut cpu::lock(&self.0).events)
    }
    /// What happened so far.
    pub fn events(&self) -> Vec<Event> {
        cpu::lock(&self.0).events.clone()
    }
    /// Whether every step was done.
    pub fn is_done(&self) -> bool {
        cpu::lock(&self.0).steps.is_empty()
    }
    fn next(&self) -> Option<Step> {
        cpu::lock(&self.0).steps.pop_front()
    }
    fn again(&self, step: Step) {
        cpu::lock(&self.0).steps.push_front(step);
    }
    fn record(&self, event: Event) {
        cpu::lock(&self.0).events.push(event);
    }
}

/// A virtual CPU that follows a [`Program`].
pub struct ScriptedVcpu {
    program: Program,
    port: Arc<dyn GuestPort>,
    held: Held,
    timer: Option<Nanos>,
    timer_line: bool,
    /// Number of the exit that is owed an answer.
    owed: Option<u32>,
    arguments: [u64; 8],
    exits: u32,
    pc: u64,
    waits: Arc<Waits>,
}

impl ScriptedVcpu {
    /// Exchanges interrupts with the port, as hardware does at an entry.
    fn exchange(&mut self) {
        let line = self.timer.is_some_and(|at| at <= Hosted::now());
        if line != self.timer_line {
            self.timer_line = line;
            self.port.timer_line(line, None);
        }
        if self.port.stirred() {
            self.port.exchange(&mut self.held);
        }
    }

    fn pending(&self) -> Option<&IrqSlot> {
        let exist = self.held.slots.iter().take(self.held.count);
        exist.filter(|slot| slot.state == SlotState::Pending).min_by_key(|slot| (slot.priority, slot.id))
    }

    fn acknowledge(&mut self) {
        let id = self.pending().map(|slot| slot.id);
        if let Some(slot) =
            self.held.slots().iter_mut().find(|slot| slot.state == SlotState::Pending && Some(slot.id) == id)
        {
            slot.state = SlotState::Active;
        }
        self.program.record(Event::Acknowledged(id));
    }

    fn end(&mut self, id: u32) {
        let mut notify = self.held.overflow;
        for slot in self.held.slots().iter_mut().filter(|slot| slot.id == id) {
            slot.state = match slot.state {
                SlotState::Active => {
                    notify |= slot.notify;
                    SlotState::Empty
                }
                SlotState::PendingActive => SlotState::Pending,
                other => other,
            };
        }
        if notify {
            self.port.exchange(&mut self.held);
        }
    }

    fn owe(&mut self) -> u32 {
        self.exits = self.exits.wrapping_add(1);
        self.owed = Some(self.exits);
        self.exits
    }

    fn settle(&mut self, note: u32) {
        assert_eq!(self.owed.take(), Some(note), "an answer to an exit that is not the last one");
    }

    /// Does one step; `Some` when the guest stops.
    fn step(&mut self, step: Step, space: &HostedSpace) -> Option<Exit> {
        match step {
            Step::Read(place, width) => {
                if let Some((at, _)) = memory(space, place, width) {
                    self.program.record(Event::Read(Ok(load(at, width))));
                    return None;
                }
                return Some(Exit::Read(Read { place, width, note: self.owe() }));
            }
            Step::Write(place, width, value) => {
                let value = value & width.mask();
                if let Some((at, Rights::Memory | Rights::Registers)) = memory(space, place, width) {
                    store(at, width, value);
                    self.program.record(Event::Wrote(Ok(())));
                    return None;
                }
                return Some(Exit::Write(Write { place, width, value, note: self.owe() }));
            }
            Step::Call(conduit, immediate, arguments) => {
                self.owe();
                self.arguments = arguments;
                let [first, .., last] = arguments;
                let function = if conduit == Conduit::Environment { last } else { first };
                return Some(Exit::Call(Call { conduit, immediate, function }));
            }
            Step::Wait if self.pending().is_none() => return Some(Exit::Wait),
            Step::Wait => {}
            Step::Yield => return Some(Exit::Yield),
            Step::Compute(length) => {
                let left = crate::time::compute(length);
                if left.0 > 0 {
                    self.program.again(Step::Compute(left));
                }
            }
            Step::Host => return Some(Exit::Host),
            Step::Fault(fault) => return Some(Exit::Fault(fault)),
            Step::Refused(why) => return Some(Exit::Refused(why)),
            Step::Acknowledge => self.acknowledge(),
            Step::End(id) => self.end(id),
            Step::SetTimer(at) => self.timer = at,
        }
        None
    }
}

/// The memory that is mapped at a place, and what the guest may do with it.
fn memory(space: &HostedSpace, place: Place, width: Width) -> Option<(*mut u8, Rights)> {
    let Place::Memory(gpa) = place else { return None };
    let (hpa, rights) = space.look_up(gpa)?;
    assert!(gpa.is_aligned(width.bytes()), "the scripted CPU makes no unaligned accesses to memory");
    Some((<Hosted as arch_api::HostPaging>::address_of(hpa), rights))
}

#[expect(unsafe_code, reason = "the scripted guest reads its own memory")]
fn load(at: *mut u8, width: Width) -> u64 {
    // SAFETY: the space maps it, and was promised untyped memory; it is aligned, as `memory` checked.
    unsafe { Hosted::load(at, width) }
}

#[expect(unsafe_code, reason = "the scripted guest writes its own memory")]
fn store(at: *mut u8, width: Width, value: u64) {
    // SAFETY: as in `load`.
    unsafe { Hosted::store(at, width, value) }
}

impl GuestCpu for ScriptedVcpu {
    type Machine = Hosted;

    fn new(profile: GuestProfile, port: Arc<dyn GuestPort>) -> Option<Self> {
        let mut scripts = cpu::here().scripts.borrow_mut();
        let program = scripts.0.get_mut(&profile.index).and_then(VecDeque::pop_front).unwrap_or_default();
        Some(Self {
            program,
            port,
            held: Held::new(SLOTS),
            timer: None,
            timer_line: false,
            owed: None,
            arguments: [0; 8],
            exits: 0,
            pc: 0,
            waits: Arc::default(),
        })
    }

    fn start(&mut self, from: PowerOn) {
        self.held = Held::new(SLOTS);
        self.timer = None;
        self.owed = None;
        self.pc = from.entry.get();
        self.program.record(Event::Started(from));
    }

    fn enter(&mut self, space: &HostedSpace, _masked: &IrqsOff<Hosted>) -> Exit {
        assert!(self.owed.is_none(), "the guest was entered and its last exit not answered");
        loop {
            if cpu::here().is_pending() {
                return Exit::Host;
            }
            self.exchange();
            let Some(step) = self.program.next() else { return Exit::Wait };
            if let Some(exit) = self.step(step, space) {
                return exit;
            }
            self.pc = self.pc.wrapping_add(4);
        }
    }

    fn answer_read(&mut self, read: Read, value: Result<u64, GuestFault>) {
        self.settle(read.note);
        self.program.record(Event::Read(value.map(|value| value & read.width.mask())));
        self.pc = self.pc.wrapping_add(4);
    }

    fn answer_write(&mut self, write: Write, done: Result<(), GuestFault>) {
        self.settle(write.note);
        self.program.record(Event::Wrote(done));
        self.pc = self.pc.wrapping_add(4);
    }

    fn arguments(&self) -> [u64; 8] {
        self.arguments
    }

    fn answer_call<const N: usize>(&mut self, _call: Call, results: [u64; N]) {
        self.settle(self.exits);
        let mut registers = [0; 4];
        for (register, result) in registers.iter_mut().zip(results) {
            *register = result;
        }
        self.program.record(Event::Called(N, registers));
    }

    fn has_tallies(&self) -> bool {
        true
    }

    fn set_tally(&mut self, tally: Tally, from: Option<u64>, runs: bool) {
        self.program.record(Event::Counts(tally, from, runs));
    }

    fn read_virtual(&mut self, _space: &HostedSpace, at: u64) -> Option<u64> {
        let found = cpu::lock(&self.program.0).words.get(&at).copied();
        if found.is_none() {
            self.settle(self.exits);
            self.inject(GuestFault::ExternalAbort);
        }
        found
    }

    fn inject(&mut self, fault: GuestFault) {
        self.program.record(Event::Injected(fault));
    }

    fn refresh(&mut self) {
        self.port.exchange(&mut self.held);
    }

    fn wakes_at(&self) -> Option<Nanos> {
        self.timer
    }

    fn has_pending(&self) -> bool {
        self.pending().is_some() || self.timer.is_some_and(|at| at <= Hosted::now())
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "pc {:#018x}  exits {}  timer {:?}", self.pc, self.exits, self.timer)
    }

    fn waits(&self) -> &Arc<Waits> {
        &self.waits
    }

    fn pc(&self) -> u64 {
        self.pc
    }
}

impl Drop for ScriptedVcpu {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            debug_assert!(self.owed.is_none(), "the virtual CPU went, and its last exit was not answered");
        }
    }
}

impl Virt for Hosted {
    type Vcpu = ScriptedVcpu;
    type Space = HostedSpace;
    // As the first architecture that there was.
    const KERNEL_MAGIC: [u8; 4] = *b"ARM\x64";

    fn can_have_files() -> Result<(), NoVirt> {
        Ok(())
    }

    fn enable(_: &IrqsOff<Self>) -> Result<Vec<&'static str>, NoVirt> {
        Ok(Vec::new())
    }
    fn use_interface(_: &IrqsOff<Self>, _interface: VirtualInterface) {}
    // A scripted CPU keeps its state itself, whichever processor runs it.
    fn evict(_: &IrqsOff<Self>) {}
    fn guest_timer_rang(_: &IrqsOff<Self>, _irq: u32) -> bool {
        false
    }
    fn interface_rang(_: &IrqsOff<Self>) {}
}
