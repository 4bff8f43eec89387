//! A virtual CPU: what it keeps, and how it goes into and out of the hardware.

use core::fmt;

use arch_api::{
    Call, Exit, GuestCpu, GuestFault, GuestPort, GuestProfile, IrqsOff, Nanos, PowerOn, Read, Waits, Write,
};
use arch_parts::columns::Columns;
use arch_parts::resident::{Home, Resident};
use arch_parts::ties::Ties;
use atomic::Arc;
use isa_a64::pstate::{Aborted, Kind, Pstate, Taker, UNDEFINED, abort_syndrome, inject};

use super::enter::{Gprs, SERROR, SYNCHRONOUS, enter_guest};
use super::hcr::{HCR, HCR_HOST, TWE, VSE};
use super::lists::{Claimed, Lists};
use super::space::Stage2;
use super::state::{El1, Keys, Timer, Vectors};
use super::{Loaded, abort, ids, lists, settle, timer_deadline};
use crate::Aarch64;
use crate::cpu::{self, PerCpu};
use crate::registers::{get, isb, set};
use crate::start::show_registers;

/// ENABLE, IMASK and ISTATUS of CNTV_CTL_EL0.
const CONDITION: u64 = 0b111;
/// What they are while the timer's line is up.
const RINGS: u64 = 0b101;

/// All there is of a virtual CPU, what each exit touches first: a short way from its beginning is the shortest in code.
#[repr(C)]
pub(crate) struct State {
    pub(super) gprs: Gprs,
    pub(super) ties: Ties,
    /// What the guest is owed, to be paid at the next entry.
    pub(super) fault: Option<GuestFault>,
    /// What the stack pointer becomes at the next entry.
    pub(super) new_stack_pointer: Option<u64>,
    /// `vectors` is newer than the hardware.
    pub(super) vectors_changed: bool,
    /// The last exit was a wait.
    waiting: bool,
    /// The virtual timer's host interrupt is active on this guest's behalf.
    timer_active: bool,
    /// It was told to the port, which has not given it to a list register yet.
    timer_undelivered: bool,
    /// The list registers had something to say when they were taken out of the hardware.
    lists_rang: bool,
    /// The address of the last abort, and whether it was a write, for a fault that answers it.
    pub(super) was_write: bool,
    pub(super) far: u64,
    /// Bytes by which the program counter is past the instruction that made the last call.
    pub(super) past_call: u64,
    /// Rest of an instruction of several accesses.
    pub(super) steps: abort::Steps,
    hcr: u64,
    timer: Timer,
    lists: Lists,
    el1: El1,
    keys: Option<Keys>,
    pub(super) vectors: Vectors,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("profile", &self.ties.profile)
            .field("gprs", &self.gprs)
            .finish_non_exhaustive()
    }
}

impl Resident for State {
    type Machine = Aarch64;
    type Block = PerCpu;
    type Space = Stage2;

    #[inline(always)]
    fn here(masked: &IrqsOff<Aarch64>) -> &'static PerCpu {
        cpu::this(masked)
    }

    #[inline(always)]
    fn loaded(cpu: &PerCpu) -> &Loaded {
        &cpu.loaded
    }

    #[inline(always)]
    fn restore(&mut self, cpu: &PerCpu, space: &Stage2, masked: &IrqsOff<Aarch64>) {
        space.load(self.ties.profile.index, cpu.common.id, masked);
        // SAFETY: interrupts are masked and nobody's registers are in the hardware any more.
        unsafe {
            self.el1.load();
            if let Some(keys) = &self.keys {
                keys.load();
            }
            self.vectors.load();
            self.vectors_changed = false;
            set!("hcr_el2", self.hcr);
            self.lists.load();
            if self.timer_active {
                lists::set_timer_active(cpu, true);
            }
            self.timer.load();
        }
        isb();
        cpu.loaded.rang.set(core::mem::take(&mut self.lists_rang));
    }

    #[cold]
    fn save(&mut self, cpu: &PerCpu) {
        self.timer.save();
        self.el1.save();
        if let Some(keys) = &mut self.keys {
            keys.save();
        }
        if !self.vectors_changed {
            self.vectors.save();
        }
        // A virtual system error that the guest has not taken yet is still in the register.
        self.hcr = self.hcr & !VSE | get!("hcr_el2") & VSE;
        self.lists.unload();
        // What rang concerns this guest, not the next one.
        self.lists_rang |= cpu.loaded.rang.take() || self.lists.has_ended();
        self.release_timer_irq(cpu);
        // SAFETY: no guest runs until the next one is loaded.
        unsafe { set!("hcr_el2", HCR_HOST) };
        if self.waiting
            && let Some(at) = timer_deadline(self.timer.control, self.timer.compare)
        {
            self.ties.port.timer_leaves(at);
        }
    }

    fn leave(&mut self, cpu: &PerCpu) {
        self.waiting = false;
        if self.is_loaded(cpu) {
            Self::evict(cpu);
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        ids::release();
    }
}

impl State {
    /// The guest's own timer rang: see `Virt::guest_timer_rang`.
    pub(super) fn timer_rang(&mut self, irq: u32) {
        self.timer_active = true;
        self.timer_undelivered = true;
        self.ties.port.timer_line(true, Some(irq));
        if self.waiting {
            self.waiting = false;
            self.ties.port.wake();
        }
    }

    /// Takes whoever is in the hardware of `cpu`, which is this one, out of it. No translation of a guest is
    /// left to be walked.
    pub(super) fn evict(cpu: &PerCpu) {
        Self::unload(cpu);
        // SAFETY: no guest runs until the next one is loaded.
        unsafe { set!("vttbr_el2", 0) };
    }

    /// Nobody runs on `cpu`, which is this one. Whoever is in its hardware with an interrupt that it does not take, since
    /// it is paused or off, leaves it: on some processors (QEMU's) that interrupt would end each wait at once.
    pub(crate) fn make_way(cpu: &PerCpu) {
        // SAFETY: who is loaded lives and is where it was (`Home`).
        if unsafe { cpu.loaded.get() }.is_some_and(|state| state.lists.has_pending(true)) {
            Self::evict(cpu);
        }
    }

    /// The host interrupt behind the guest's timer stays active only as long as the guest is loaded.
    fn release_timer_irq(&mut self, cpu: &PerCpu) {
        if self.timer_active {
            lists::set_timer_active(cpu, false);
            // The guest ended it meanwhile if it is neither in its hands nor still to be given to it.
            self.timer_active = self.timer_undelivered || self.lists.holds_link();
        }
    }

    /// Lets the port see what became of its interrupts, and takes what it has now. The guest is loaded.
    fn exchange(&mut self, cpu: &PerCpu) {
        let rang = cpu.loaded.rang.replace(false);
        self.lists.look();
        if self.timer_active && get!("cntv_ctl_el0") & CONDITION != RINGS && self.lists.link_waits() {
            lists::set_timer_active(cpu, false);
            self.take_timer_back();
        }
        self.timer_undelivered &= !self.lists.exchange(&*self.ties.port, rang);
    }

    /// The same while the guest is not loaded.
    fn exchange_aside(&mut self) {
        if self.timer_active && self.lists.link_waits() && self.timer.control & CONDITION != RINGS {
            self.take_timer_back();
        }
        self.lists.exchange_aside(&*self.ties.port);
        self.timer_undelivered &= !self.lists.holds_link();
    }

    /// The guest stopped its timer before it took the interrupt: the line is low again, and the host
    /// interrupt free to come.
    fn take_timer_back(&mut self) {
        self.timer_active = false;
        self.timer_undelivered = false;
        self.ties.port.timer_line(false, None);
    }

    /// Waits on the guest's behalf, unless something came for the guest already. Nobody else could run meanwhile.
    #[cold]
    fn wait_in_place(&self, cpu: &PerCpu, masked: &IrqsOff<Aarch64>) {
        if !self.ties.stirred() && !cpu.loaded.rang.get() && !self.lists.has_pending(true) {
            self.ties.wait::<Aarch64>(|| cpu::wait_for_interrupt(masked));
        }
    }

    /// Whether something is due before the guest goes on.
    #[inline]
    fn owes(&self) -> bool {
        self.fault.is_some() | self.new_stack_pointer.is_some() | self.vectors_changed
    }

    /// Does what is due. The guest is loaded.
    #[cold]
    fn pay_all(&mut self) {
        if let Some(value) = self.new_stack_pointer.take() {
            // SAFETY: the guest's stack pointer.
            unsafe {
                if self.gprs.pstate & 0xf == Pstate::EL1H {
                    set!("sp_el1", value)
                } else {
                    set!("sp_el0", value)
                }
            }
        }
        if self.vectors_changed {
            // SAFETY: the guest is loaded, and `vectors` is what it should have.
            unsafe { self.vectors.load() };
            self.vectors_changed = false;
        }
        if let Some(fault) = self.fault.take() {
            self.pay(fault);
        }
    }

    /// Makes the exception happen that is due. The guest is loaded.
    fn pay(&mut self, fault: GuestFault) {
        let from = Pstate::new(self.gprs.pstate);
        let syndrome = match fault {
            GuestFault::Undefined => UNDEFINED,
            GuestFault::FetchAbort => abort_syndrome(Aborted::Fetch, from),
            GuestFault::ExternalAbort if self.was_write => abort_syndrome(Aborted::Store, from),
            GuestFault::ExternalAbort => abort_syndrome(Aborted::Load, from),
        };
        let el1 = Taker { vbar: get!("vbar_el1"), sctlr: get!("sctlr_el1"), mte: false };
        let taken = inject(el1, Kind::Synchronous, from, self.gprs.pc);
        // SAFETY: EL1's registers, as the hardware would set them when taking the exception itself.
        unsafe {
            set!("elr_el1", taken.elr);
            set!("spsr_el1", taken.spsr.raw());
            set!("esr_el1", syndrome.raw());
            if !matches!(fault, GuestFault::Undefined) {
                set!("far_el1", self.far);
            }
        }
        self.gprs.pc = taken.pc;
        self.gprs.pstate = taken.pstate.raw();
    }

    /// A general-purpose register as an operand: 31 is the zero register.
    #[inline]
    pub(super) fn operand(&self, register: isa_a64::Gpr) -> u64 {
        self.gprs.x.get(register.index()).copied().unwrap_or(0)
    }

    /// A general-purpose register as a result.
    #[inline]
    pub(super) fn set_operand(&mut self, register: isa_a64::Gpr, value: u64) {
        if let Some(x) = self.gprs.x.get_mut(register.index()) {
            *x = value;
        }
    }
}

/// A virtual CPU.
#[derive(Debug)]
pub struct VirtualCpu(Home<State>);

impl GuestCpu for VirtualCpu {
    type Machine = Aarch64;

    fn new(profile: GuestProfile, port: Arc<dyn GuestPort>) -> Option<Self> {
        if !lists::exist() {
            return None;
        }
        ids::promise();
        let twe = if profile.cpus > 1 { TWE } else { 0 };
        Some(Self(Home::new(State {
            gprs: Gprs { x: [0; 31], pc: 0, pstate: Pstate::RESET_EL1.raw() },
            fault: None,
            new_stack_pointer: None,
            far: 0,
            was_write: false,
            past_call: 0,
            steps: abort::Steps::none(),
            waiting: false,
            timer_active: false,
            timer_undelivered: false,
            lists_rang: false,
            hcr: HCR | twe,
            el1: El1::reset(profile.hardware_id, profile.cpus == 1),
            keys: ids::have_keys().then(Keys::default),
            vectors: Vectors::new(),
            vectors_changed: false,
            timer: Timer::default(),
            lists: Lists::new(),
            ties: Ties::new(profile, port),
        })))
    }

    fn start(&mut self, from: PowerOn) {
        let masked = IrqsOff::<Aarch64>::now();
        let cpu = cpu::this(&masked);
        let state = &mut *self.0;
        state.leave(cpu);
        state.gprs = Gprs { x: [0; 31], pc: from.entry.get(), pstate: Pstate::RESET_EL1.raw() };
        if let Some(x0) = state.gprs.x.first_mut() {
            *x0 = from.argument;
        }
        state.fault = None;
        state.new_stack_pointer = None;
        state.steps = abort::Steps::none();
        state.timer_active = false;
        state.timer_undelivered = false;
        state.lists_rang = false;
        state.hcr &= !VSE;
        state.el1 = El1::reset(state.ties.profile.hardware_id, state.ties.profile.cpus == 1);
        state.keys = state.keys.is_some().then(Keys::default);
        state.vectors = Vectors::new();
        state.timer = Timer::default();
        state.lists.reset();
    }

    #[inline(always)]
    fn enter(&mut self, space: &Stage2, masked: &IrqsOff<Aarch64>) -> Exit {
        let state = &mut *self.0;
        if let Some(exit) = abort::next_step(state) {
            return exit;
        }
        let cpu = cpu::this(masked);
        state.waiting = false;
        state.past_call = 0;
        loop {
            if !state.is_loaded(cpu) {
                state.load(cpu, space, masked);
            }
            if state.ties.stirred() || cpu.loaded.rang.get() {
                state.exchange(cpu);
            }
            if state.owes() {
                state.pay_all();
            }
            // SAFETY: interrupts are masked, and the guest was just loaded.
            match unsafe { enter_guest(&raw mut state.gprs) } {
                SYNCHRONOUS => match settle::settle(state) {
                    None => continue,
                    Some(Exit::Wait) if cpu.common.nesting.others_ready().get() => {
                        state.waiting = true;
                        return Exit::Wait;
                    }
                    Some(Exit::Wait) => state.wait_in_place(cpu, masked),
                    Some(exit) => return exit,
                },
                SERROR => {
                    // The machine's answer to something that the guest did: hand it on.
                    // SAFETY: adds a virtual system error for the guest.
                    unsafe { set!("hcr_el2", state.hcr | VSE) };
                    return Exit::Host;
                }
                _ => {}
            }
            // What the guest's own timer asks for is settled here.
            match lists::claim() {
                Claimed::Timer(irq) => state.timer_rang(irq),
                Claimed::Other(irq) => {
                    cpu.claimed.set(irq);
                    cpu::handle_interrupt(masked);
                    return Exit::Host;
                }
                Claimed::Call => return Exit::Called,
                Claimed::Nothing => return Exit::Host,
            }
        }
    }

    #[inline]
    fn answer_read(&mut self, read: Read, value: Result<u64, GuestFault>) {
        abort::answer_read(&mut self.0, read, value);
    }

    #[inline]
    fn answer_write(&mut self, write: Write, done: Result<(), GuestFault>) {
        abort::answer_write(&mut self.0, write, done);
    }

    #[inline]
    fn arguments(&self) -> [u64; 8] {
        let [x0, x1, x2, x3, x4, x5, x6, x7, ..] = self.0.gprs.x;
        [x0, x1, x2, x3, x4, x5, x6, x7]
    }

    #[inline]
    fn answer_call<const N: usize>(&mut self, _call: Call, results: [u64; N]) {
        for (x, result) in self.0.gprs.x.iter_mut().zip(results) {
            *x = result;
        }
    }

    fn inject(&mut self, fault: GuestFault) {
        let state = &mut *self.0;
        state.gprs.pc = state.gprs.pc.wrapping_sub(state.past_call);
        state.past_call = 0;
        state.steps = abort::Steps::none();
        state.fault = Some(fault);
    }

    fn refresh(&mut self) {
        let masked = IrqsOff::<Aarch64>::now();
        let cpu = cpu::this(&masked);
        if self.0.is_loaded(cpu) { self.0.exchange(cpu) } else { self.0.exchange_aside() }
    }

    fn wakes_at(&self) -> Option<Nanos> {
        let masked = IrqsOff::<Aarch64>::now();
        let state = &*self.0;
        if !state.is_loaded(cpu::this(&masked)) {
            return timer_deadline(state.timer.control, state.timer.compare);
        }
        // A guest that waits by a call is not known to wait when its timer rings.
        if state.waiting { None } else { timer_deadline(get!("cntv_ctl_el0"), get!("cntv_cval_el0")) }
    }

    fn waits(&self) -> &Arc<Waits> {
        self.0.ties.waits()
    }

    fn has_pending(&self) -> bool {
        let masked = IrqsOff::<Aarch64>::now();
        let state = &*self.0;
        let cpu = cpu::this(&masked);
        state.ties.stirred() || state.lists.has_pending(state.is_loaded(cpu))
    }

    fn show(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let masked = IrqsOff::<Aarch64>::now();
        let state = &*self.0;
        let mut el1 = state.el1.clone();
        if state.is_loaded(cpu::this(&masked)) {
            el1.save();
        }
        drop(masked);
        show_registers(out, &state.gprs.x)?;
        writeln!(out, "    PC=0x{:016x}   PSTATE=0x{:08x}", state.gprs.pc, state.gprs.pstate)?;
        let mut columns = Columns::new(out, 2, 18);
        el1.each(|name, value| columns.put(name, value));
        columns.end()?;
        let mut result = Ok(());
        state.lists.each(|slot| {
            result = result.and_then(|()| {
                writeln!(out, "   interrupt {} priority {:#04x} {:?}", slot.id, slot.priority, slot.state)
            });
        });
        result
    }

    fn pc(&self) -> u64 {
        self.0.gprs.pc
    }
}
