//! A virtual CPU: what it keeps, and how it goes into and out of the hardware.

use core::fmt;

use arch_api::{
    Call, Clock, Exit, GuestCpu, GuestFault, GuestPort, GuestProfile, Held, IrqsOff, MessageFile, Nanos,
    PowerOn, Read, Tally, Waits, Write,
};
use arch_parts::columns::Columns;
use arch_parts::resident::{Home, Resident};
use arch_parts::ties::Ties;
use atomic::Arc;
use isa_rv::cause;
use isa_rv::extensions::Extension;

use super::Loaded;
use super::access::{self, Step};
use super::enter::{Gprs, enter_guest};
use super::files::OwnFile;
use super::gstage::{self, GStage};
use super::settle;
use super::state::{self, Optional, Supervisor, Units};
use super::stateen;
use super::tallies::{self, Tallies};
use crate::cpu::{self, PerCpu};
use crate::csr::{get, hstatus, pending, set, sstatus};
use crate::start::show_registers;
use crate::{Riscv64, local};

/// An exception that the guest is owed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    pub(super) cause: u64,
    pub(super) value: u64,
}

/// All there is of a virtual CPU, what each exit touches first: a short way from its beginning is the shortest in code.
#[repr(C)]
pub(crate) struct State {
    pub(super) gprs: Gprs,
    pub(super) ties: Ties,
    /// No hardware rings the guest's timer: each entry looks at it.
    timer_is_watched: bool,
    /// What the guest is owed, to be paid at the next entry.
    pub(super) due: Option<Due>,
    /// What a floating-point register becomes at the next entry.
    pub(super) new_float: Option<(u8, u64)>,
    /// The guest-virtual address of the last access, and whether it was a write, for a fault that answers it.
    pub(super) far: u64,
    pub(super) was_write: bool,
    /// The last instruction that was looked at, for a fault that answers it.
    pub(super) word: u32,
    /// Bytes by which the program counter is past the instruction that made the last call.
    pub(super) past_call: u64,
    /// Rest of an access to a CSR.
    pub(super) step: Option<Step>,
    /// `hvip`: the wires that are up.
    pub(super) wires: u64,
    /// `hstatus`, without what traps change.
    pub(super) hstatus: u64,
    pub(super) vs: Supervisor,
    optional: Optional,
    pub(super) tallies: Tallies,
    /// When the guest's timer rings, in ticks; where there is no Sstc, the firmware's, which we watch.
    pub(super) timer: u64,
    /// Its file of messages, if it has one.
    pub(super) file: Option<OwnFile>,
    /// The wires for the port; here, since it is large and need not be made anew.
    pub(super) held: Held,
    pub(super) units: Units,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("profile", &self.ties.profile)
            .field("gprs", &self.gprs)
            .finish_non_exhaustive()
    }
}

pub(super) fn has_sstc() -> bool {
    cpu::has(Extension::Sstc)
}

impl Resident for State {
    type Machine = Riscv64;
    type Block = PerCpu;
    type Space = GStage;

    #[inline(always)]
    fn here(masked: &IrqsOff<Riscv64>) -> &'static PerCpu {
        cpu::this(masked)
    }

    #[inline(always)]
    fn loaded(cpu: &PerCpu) -> &Loaded {
        &cpu.loaded
    }

    #[inline(always)]
    fn restore(&mut self, cpu: &PerCpu, space: &GStage, masked: &IrqsOff<Riscv64>) {
        space.load(self.ties.profile.index, cpu.common.id, masked);
        self.take_file(cpu, space);
        if let Some(file) = &self.file {
            file.look_again();
        }
        // SAFETY: interrupts are masked and nobody's registers are in the hardware any more.
        unsafe {
            self.vs.load();
            self.optional.load();
            set!("hvip", self.wires);
            set!("hstatus", self.hstatus);
            if state::has_stateen() {
                set!("hstateen0", stateen::of(self.ties.profile.irq_registers));
            }
            if has_sstc() {
                set!("vstimecmp", self.timer);
            }
        }
        self.tell_external();
        self.look_for_units(cpu);
        if self.tallies.are_own() {
            self.tallies.load();
        }
        self.gprs.own_cpu = core::ptr::from_ref(cpu) as u64;
        cpu.loaded.rang.set(false);
    }

    #[cold]
    fn save(&mut self, cpu: &PerCpu) {
        self.vs.save();
        gstage::close_own_tables();
        self.optional.save();
        if self.tallies.are_own() {
            self.tallies.unload();
        }
        self.wires = get!("hvip");
        if has_sstc() {
            self.timer = get!("vstimecmp");
        }
        // SAFETY: no guest runs until the next one is loaded: nothing is pending for one.
        unsafe {
            set!("hvip", 0);
            if has_sstc() {
                set!("vstimecmp", u64::MAX);
            }
        }
        cpu.files.look_again();
        if let Some(file) = &mut self.file {
            file.left();
        }
    }

    fn leave(&mut self, cpu: &PerCpu) {
        let has_file = self.file.as_ref().is_some_and(|file| file.number() != 0);
        if has_file || self.is_loaded(cpu) || cpu.units.is(self) {
            // Whoever is there may have the file next, when it is loaded again.
            Self::vacate(cpu);
            self.give_file_back(&cpu.files);
        }
    }
}

impl State {
    /// Takes whoever is in the hardware of `cpu`, which is this one, out of it. No translation of a guest is
    /// left to be walked.
    pub(super) fn vacate(cpu: &PerCpu) {
        Self::unload(cpu);
        Self::free_units(cpu);
        gstage::unload();
    }

    /// Nothing of any virtual CPU is left in the hardware of `cpu`, which is this one.
    pub(super) fn evict(cpu: &PerCpu) {
        Self::vacate(cpu);
        cpu.files.give_all_back();
    }

    /// Whether something is due before the guest goes on.
    #[inline]
    fn owes(&self) -> bool {
        self.due.is_some() | self.new_float.is_some()
    }

    /// Does what is due. The guest is loaded.
    #[cold]
    fn pay_all(&mut self, cpu: &PerCpu) {
        if let Some((number, value)) = self.new_float.take() {
            self.take_units(cpu);
            state::set_float(number, value);
            self.gprs.sstatus |= sstatus::FS;
        }
        if let Some(due) = self.due.take() {
            self.pay(due);
        }
    }

    /// Makes an exception happen, as the hardware would ("Trap Entry", into VS mode). The guest is loaded.
    fn pay(&mut self, due: Due) {
        let status = get!("vsstatus");
        let mut taken = status & !(sstatus::SPP | sstatus::SPIE | sstatus::SIE);
        taken |= self.gprs.sstatus & sstatus::SPP;
        if status & sstatus::SIE != 0 {
            taken |= sstatus::SPIE;
        }
        // SAFETY: VS mode's registers, as the hardware would set them when taking the exception itself.
        unsafe {
            set!("vsepc", self.gprs.pc);
            set!("vscause", due.cause);
            set!("vstval", due.value);
            set!("vsstatus", taken);
        }
        // Exceptions go to the base whatever the vector's mode.
        self.gprs.pc = get!("vstvec") & !3;
        self.gprs.sstatus |= sstatus::SPP;
    }

    /// A fault that answers the last access.
    #[cold]
    pub(super) fn fault(&mut self, fault: GuestFault) {
        self.step = None;
        self.new_float = None;
        self.due = Some(match fault {
            GuestFault::Undefined => Due { cause: cause::ILLEGAL, value: self.word.into() },
            GuestFault::ExternalAbort if self.was_write => {
                Due { cause: cause::STORE_ACCESS, value: self.far }
            }
            GuestFault::ExternalAbort => Due { cause: cause::LOAD_ACCESS, value: self.far },
            GuestFault::FetchAbort => Due { cause: cause::FETCH_ACCESS, value: self.far },
        });
    }

    /// A general-purpose register as an operand.
    #[inline]
    pub(super) fn operand(&self, register: isa_rv::Gpr) -> u64 {
        if register == isa_rv::Gpr::ZERO {
            return 0;
        }
        self.gprs.x.get(register.index()).copied().unwrap_or(0)
    }

    /// A general-purpose register as a result.
    #[inline]
    pub(super) fn set_operand(&mut self, register: isa_rv::Gpr, value: u64) {
        // x0's place is never read.
        if let Some(x) = self.gprs.x.get_mut(register.index()) {
            *x = value;
        }
    }

    /// Registers as after reset.
    fn reset(&mut self) {
        let hstatus = self.hstatus;
        self.gprs = gprs(0);
        self.due = None;
        self.new_float = None;
        self.step = None;
        self.past_call = 0;
        self.wires = 0;
        self.vs = reset_csrs();
        self.optional = Optional::default();
        self.units = Units::new();
        self.tallies = Tallies::default();
        self.timer = u64::MAX;
        self.hstatus = hstatus;
    }
}

/// An interrupt of ours is pending: what it asks for.
fn interrupted(cpu: &PerCpu) -> Exit {
    if local::was_called(cpu) { Exit::Called } else { Exit::Host }
}

/// VS mode, at `pc`.
fn gprs(pc: u64) -> Gprs {
    Gprs { x: [0; 32], pc, sstatus: sstatus::SPP | sstatus::UXL_64, own: [0; 4], own_cpu: 0 }
}

fn reset_csrs() -> Supervisor {
    Supervisor { status: sstatus::UXL_64, ..Supervisor::default() }
}

/// A virtual CPU.
#[derive(Debug)]
pub struct VirtualCpu(Home<State>);

impl GuestCpu for VirtualCpu {
    type Machine = Riscv64;

    fn new(profile: GuestProfile, port: Arc<dyn GuestPort>) -> Option<Self> {
        Some(Self(Home::new(State {
            gprs: gprs(0),
            timer_is_watched: !has_sstc(),
            due: None,
            new_float: None,
            far: 0,
            was_write: false,
            word: 0,
            past_call: 0,
            step: None,
            wires: 0,
            held: Held::new(0),
            hstatus: hstatus::VSXL_64 | hstatus::SPV | hstatus::SPVP | hstatus::VTW,
            vs: reset_csrs(),
            optional: Optional::default(),
            units: Units::new(),
            tallies: Tallies::default(),
            timer: u64::MAX,
            file: None,
            ties: Ties::new(profile, port),
        })))
    }

    fn set_file(&mut self, file: Arc<dyn MessageFile>) {
        self.0.file = Some(OwnFile::new(file));
    }

    fn start(&mut self, from: PowerOn) {
        let masked = IrqsOff::<Riscv64>::now();
        let cpu = cpu::this(&masked);
        let state = &mut *self.0;
        state.leave(cpu);
        state.reset();
        state.gprs.pc = from.entry.get();
        // SBI, "Hart State Management": a0 is the hart's id, a1 what the caller gave.
        let [_, _, _, _, _, _, _, _, _, _, a0, a1, ..] = &mut state.gprs.x;
        [*a0, *a1] = [state.ties.profile.hardware_id, from.argument];
    }

    #[inline(always)]
    fn enter(&mut self, space: &GStage, masked: &IrqsOff<Riscv64>) -> Exit {
        let state = &mut *self.0;
        if state.step.is_some()
            && let Some(exit) = access::next_step(state)
        {
            return exit;
        }
        let cpu = cpu::this(masked);
        state.past_call = 0;
        if let Some(file) = &state.file {
            file.go_on();
        }
        loop {
            if !state.is_loaded(cpu) {
                state.load(cpu, space, masked);
            }
            if state.ties.stirred() || cpu.loaded.rang.get() {
                state.exchange(cpu);
            }
            if state.owes() {
                state.pay_all(cpu);
            }
            if state.timer_is_watched {
                state.look_at_timer();
            }
            // SAFETY: interrupts are masked, and the guest was just loaded.
            let scause = unsafe { enter_guest(&raw mut state.gprs) };
            match settle::settle(state, cpu, scause) {
                None => {}
                // It waits for another of its CPUs, and nobody else has a use for this one.
                Some(Exit::Yield) if !cpu.common.nesting.others_ready().get() => {}
                Some(Exit::Wait) if !cpu.common.nesting.others_ready().get() => {
                    let goes_on = state.wait_in_place(cpu, masked);
                    if !goes_on {
                        return interrupted(cpu);
                    }
                }
                Some(Exit::Host) => return interrupted(cpu),
                Some(exit) => return exit,
            }
        }
    }

    #[inline(always)]
    fn answer_read(&mut self, read: Read, value: Result<u64, GuestFault>) {
        access::answer_read(&mut self.0, read, value);
    }

    #[inline(always)]
    fn answer_write(&mut self, write: Write, done: Result<(), GuestFault>) {
        access::answer_write(&mut self.0, write, done);
    }

    #[inline]
    fn arguments(&self) -> [u64; 8] {
        let [_, _, _, _, _, _, _, _, _, _, a0, a1, a2, a3, a4, a5, a6, a7, ..] = self.0.gprs.x;
        [a0, a1, a2, a3, a4, a5, a6, a7]
    }

    #[inline]
    fn answer_call<const N: usize>(&mut self, _call: Call, results: [u64; N]) {
        for (x, result) in self.0.gprs.x.iter_mut().skip(10).zip(results) {
            *x = result;
        }
    }

    fn set_timer(&mut self, ticks: u64) {
        let masked = IrqsOff::<Riscv64>::now();
        let loaded = self.0.is_loaded(cpu::this(&masked));
        self.0.set_timer(ticks, loaded);
    }

    fn has_tallies(&self) -> bool {
        let _masked = IrqsOff::<Riscv64>::now();
        tallies::of_hart(Tally::Cycles).is_some() && tallies::of_hart(Tally::Instructions).is_some()
    }

    fn set_tally(&mut self, tally: Tally, from: Option<u64>, runs: bool) {
        let masked = IrqsOff::<Riscv64>::now();
        let loaded = self.0.is_loaded(cpu::this(&masked));
        self.0.tallies.set(tally, from, runs, loaded);
    }

    #[cold]
    fn read_virtual(&mut self, space: &GStage, at: u64) -> Option<u64> {
        let masked = IrqsOff::<Riscv64>::now();
        let cpu = cpu::this(&masked);
        if !self.0.is_loaded(cpu) {
            self.0.load(cpu, space, &masked);
        }
        access::argument(&mut self.0, at)
    }

    fn inject(&mut self, fault: GuestFault) {
        let state = &mut *self.0;
        state.gprs.pc = state.gprs.pc.wrapping_sub(state.past_call);
        state.past_call = 0;
        state.fault(fault);
    }

    fn refresh(&mut self) {
        let masked = IrqsOff::<Riscv64>::now();
        let cpu = cpu::this(&masked);
        if self.0.file.as_ref().is_some_and(|file| file.number() != 0) {
            // What has come to its file is to be seen as well: both come out of the hardware.
            self.0.leave(cpu);
        }
        if self.0.is_loaded(cpu) { self.0.exchange(cpu) } else { self.0.exchange_aside() }
    }

    fn wakes_at(&self) -> Option<Nanos> {
        let masked = IrqsOff::<Riscv64>::now();
        let state = &*self.0;
        let (timer, enabled) = state.timer_and_enabled(state.is_loaded(cpu::this(&masked)));
        let timer = (timer != u64::MAX && enabled & pending::STI != 0).then(|| Riscv64::time_of(timer));
        let look = state.file.as_ref().and_then(OwnFile::looks_at);
        timer.into_iter().chain(look).min()
    }

    fn waits(&self) -> &Arc<Waits> {
        self.0.ties.waits()
    }

    fn has_pending(&self) -> bool {
        let masked = IrqsOff::<Riscv64>::now();
        let state = &*self.0;
        let cpu = cpu::this(&masked);
        cpu.files.look_again();
        let loaded = state.is_loaded(cpu);
        let is_pending = state.has_pending(loaded);
        if !is_pending {
            state.wait_for_messages(loaded);
        }
        is_pending
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let masked = IrqsOff::<Riscv64>::now();
        let state = &*self.0;
        let mut vs = state.vs.clone();
        if state.is_loaded(cpu::this(&masked)) {
            vs.save();
        }
        drop(masked);
        show_registers(out, &state.gprs.x)?;
        let mode = if state.gprs.sstatus & sstatus::SPP != 0 { "VS" } else { "VU" };
        writeln!(out, "    PC=0x{:016x}   MODE={mode}   HVIP=0x{:03x}", state.gprs.pc, state.wires)?;
        if let Some(file) = &state.file {
            writeln!(out, "    FILE={}", file.number())?;
        }
        let mut columns = Columns::new(out, 2, 18);
        vs.each(|name, value| columns.put(name, value));
        columns.end()
    }

    fn pc(&self) -> u64 {
        self.0.gprs.pc
    }
}
