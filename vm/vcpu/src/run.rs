//! The run loop.

use core::fmt;
use core::ops::ControlFlow::{self, Break, Continue};

use addr::Gpa;
use arch::{
    Clock, Exit, GuestCpu, GuestFault, IrqsOff, Machine, Nanos, Place, PowerOn, Read, Space, Waits, Write,
};
use atomic::Arc;
use isa_firmware::sbi::FirmwareEvent;
use vm_bus::Refused;

use crate::buses::{Buses, Hints};
use crate::exits::{ExitKind, ExitStats, exits_are_timed};
use crate::firmware::{self, Caller, sbi};
use crate::{Asked, Mailbox, Siblings};

/// Why a virtual CPU does not run any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// It has nothing to do until an interrupt.
    Idle,
    /// It waits for another virtual CPU.
    Yield,
    /// Somebody asked something of it; it is still in the mailbox.
    Asked(Asked),
    /// It asked for a change of power.
    Power(PowerRequest),
    /// The hardware refuses to go on; the number is the architecture's.
    Refused(u64),
}

/// A change of power that a guest asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PowerRequest {
    /// This CPU off.
    CpuOff,
    /// The whole machine off.
    SystemOff,
    /// The whole machine from the beginning again.
    SystemReset,
}

/// A virtual CPU and all it needs to run; owned by its thread.
pub struct Runner<C = arch::Vcpu> {
    cpu: C,
    index: u32,
    space: Arc<Space>,
    buses: Arc<Buses>,
    mailbox: Arc<Mailbox>,
    siblings: Arc<dyn Siblings>,
    hints: Hints,
    exits: Arc<ExitStats>,
    /// What the exit is for that is being answered, and since when, if that is measured.
    timed: Option<(ExitKind, Nanos)>,
    /// How much time the guest was told that it was taken.
    stolen: Nanos,
    /// What the firmware keeps for this CPU.
    own: sbi::Own,
}

impl<C: GuestCpu<Machine = Machine>> Runner<C> {
    /// CPU number `index` of a guest, powered off.
    pub fn new(
        cpu: C,
        index: u32,
        space: Arc<Space>,
        buses: Arc<Buses>,
        mailbox: Arc<Mailbox>,
        siblings: Arc<dyn Siblings>,
    ) -> Self {
        let (hints, exits, own) = (Hints::default(), Arc::default(), sbi::Own::default());
        let (timed, stolen) = (None, Nanos(0));
        Self { cpu, index, space, buses, mailbox, siblings, hints, exits, timed, stolen, own }
    }

    /// Resets the CPU, to begin at `from`.
    pub fn start(&mut self, from: PowerOn) {
        self.own = sbi::Own::default();
        self.stolen = Nanos(0);
        self.siblings.set_suspended(self.index, false);
        self.cpu.start(from);
    }

    /// Lets the interrupt controller know how far the guest is with its interrupts.
    pub fn refresh(&mut self) {
        self.cpu.refresh();
    }

    /// What its exits were for.
    pub fn exits(&self) -> &Arc<ExitStats> {
        &self.exits
    }

    /// How long it waited in the processor itself.
    pub fn waits(&self) -> &Arc<Waits> {
        self.cpu.waits()
    }

    /// Whether waiting would be over at once.
    pub fn has_pending(&self) -> bool {
        self.cpu.has_pending()
    }

    /// When the CPU's own timer rings, if nobody else watches it.
    pub fn wakes_at(&self) -> Option<arch::Nanos> {
        self.cpu.wakes_at()
    }

    /// The program counter.
    pub fn pc(&self) -> u64 {
        self.cpu.pc()
    }

    /// Prints the registers.
    pub fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.cpu.show(out)
    }

    /// Runs the guest until something stops it.
    pub fn run(&mut self) -> Stop {
        if self.own.is_suspended() && self.mailbox.asked().is_nothing() && !self.rouse() {
            return Stop::Idle;
        }
        if !self.own.is_sent(&self.buses.firmware) && self.mailbox.asked().is_nothing() {
            return Stop::Yield;
        }
        let mut masked = IrqsOff::now();
        self.tell_stolen(&masked);
        loop {
            let asked = self.mailbox.asked();
            if !asked.is_nothing() {
                return Stop::Asked(asked);
            }
            let exit = self.cpu.enter(&self.space, &masked);
            if matches!(exit, Exit::Host) {
                self.exits.count(ExitKind::Host);
                // The host interrupt that brought us back is taken here, and the thread may go on elsewhere.
                masked = host_thread::take_interrupts(masked);
                self.tell_stolen(&masked);
                continue;
            }
            if matches!(exit, Exit::Called) {
                self.exits.count(ExitKind::Host);
                continue;
            }
            drop(masked);
            if exits_are_timed() {
                self.begin_timing(&exit);
            }
            let flow = self.settle(exit);
            if self.timed.is_some() {
                self.end_timing();
            }
            if let Break(stop) = flow {
                return stop;
            }
            masked = IrqsOff::now();
        }
    }

    /// Tells the guest how long its CPU would have run and did not, if that is more than it knows.
    #[inline]
    fn tell_stolen(&mut self, masked: &IrqsOff) {
        if self.own.asked_for_stolen_time {
            let waited = host_thread::waited(masked);
            if waited != self.stolen {
                self.stolen = waited;
                self.siblings.steal(self.index, waited);
            }
        }
        if let Some(steal) = &mut self.own.steal {
            steal.tell(&*self.buses.firmware.memory, host_thread::waited(masked));
        }
    }

    /// Lets a suspended CPU go on if an interrupt waits for it.
    #[cold]
    fn rouse(&mut self) -> bool {
        self.cpu.refresh();
        if !self.cpu.has_pending() {
            return false;
        }
        self.siblings.set_suspended(self.index, false);
        if let Some(from) = self.own.wake() {
            self.cpu.start(from);
            // The interrupt from another CPU that woke this one may have been among the registers that are lost. One
            // too many does no harm.
            self.siblings.set_software(self.index, true);
        }
        true
    }

    #[cold]
    fn begin_timing(&mut self, exit: &Exit) {
        self.timed = Some((ExitKind::of(exit), Machine::now()));
    }

    #[cold]
    fn end_timing(&mut self) {
        if let Some((kind, begun)) = self.timed.take() {
            self.exits.took(kind, begun);
        }
    }

    /// Does what the exit asks for, and counts it: here, where each kind has its own place.
    #[inline(always)]
    fn settle(&mut self, exit: Exit) -> ControlFlow<Stop> {
        match exit {
            // See `run`.
            Exit::Host | Exit::Called => {}
            Exit::Read(read) => {
                self.exits.count(ExitKind::at(read.place, ExitKind::Read));
                self.read(read);
            }
            Exit::Write(write) => {
                self.exits.count(ExitKind::at(write.place, ExitKind::Write));
                self.write(write);
            }
            Exit::Call(call) => {
                self.exits.count(ExitKind::Call);
                if firmware::smccc::is_version(&call) {
                    firmware::smccc::answer_version(&mut self.cpu, call);
                    return Continue(());
                }
                let (siblings, buses, space) = (&*self.siblings, &*self.buses, &*self.space);
                let caller = Caller { index: self.index, siblings, buses, space };
                return firmware::call(&mut self.cpu, call, &caller, &mut self.own);
            }
            Exit::Wait => {
                self.exits.count(ExitKind::Wait);
                return Break(Stop::Idle);
            }
            Exit::Yield => {
                self.exits.count(ExitKind::Yield);
                return Break(Stop::Yield);
            }
            Exit::Fault(fault) => {
                self.exits.count(ExitKind::Fault);
                self.own.counters.count(FirmwareEvent::IllegalInstruction);
                self.cpu.inject(fault);
            }
            Exit::Refused(why) => {
                self.exits.count(ExitKind::Refused);
                return Break(Stop::Refused(why));
            }
        }
        Continue(())
    }

    #[inline]
    fn read(&mut self, read: Read) {
        match self.buses.read(&mut self.hints, read.place, read.width, self.index) {
            Ok(value) => self.cpu.answer_read(read, Ok(value)),
            Err((fault, why)) => self.not_read(read, fault, why),
        }
    }

    #[cold]
    fn not_read(&mut self, read: Read, fault: GuestFault, why: Refused) {
        let mut result = Err((fault, why));
        if why == Refused::Unsettled {
            self.cpu.refresh();
            result = self.buses.read(&mut self.hints, read.place, read.width, self.index);
        }
        let answer = result.map_err(|(fault, why)| {
            self.own.counters.count(FirmwareEvent::AccessLoad);
            self.refused("reads", read.place, why);
            fault
        });
        self.cpu.answer_read(read, answer);
    }

    #[inline]
    fn write(&mut self, write: Write) {
        match self.buses.write(&mut self.hints, write.place, write.width, self.index, write.value) {
            Ok(()) => self.cpu.answer_write(write, Ok(())),
            Err((fault, why)) => {
                self.own.counters.count(FirmwareEvent::AccessStore);
                self.refused("writes", write.place, why);
                self.cpu.answer_write(write, Err(fault));
            }
        }
    }

    #[cold]
    fn refused(&self, does: &str, place: Place, why: Refused) {
        let pc = self.cpu.pc();
        let complain = |what: fmt::Arguments<'_>| self.buses.complain(Machine::now(), self.index, what);
        match place {
            Place::Memory(at) => complain(format_args!("{does} {:#x} at pc {pc:#x}: {why}", Gpa::get(at))),
            Place::Port(port) => complain(format_args!("{does} port {port:#x} at pc {pc:#x}: {why}")),
            Place::Register(id) => complain(format_args!("{does} register {:#x} at pc {pc:#x}: {why}", id.0)),
        }
    }

    /// Makes an exception happen in the guest.
    pub fn inject(&mut self, fault: GuestFault) {
        self.cpu.inject(fault);
    }
}
