//! The RISC-V Supervisor Binary Interface for guests, version 2.0 (riscv-sbi-doc): one file per extension, and a table.
//!
//! What is not known, or what a guest's tree withholds from it, is answered SBI_ERR_NOT_SUPPORTED.

use core::ops::ControlFlow::{self, Break, Continue};

use addr::Gpa;
use arch::{Call, GuestCpu, Machine, PowerOn, Space, Stale, Tally};
use atomic::Arc;
use isa_firmware::sbi::{Error, Extension, VERSION_2_0, base};
use vio::serial::Serial;
use vm_memory::GuestMemory;

use super::Caller;
use crate::{PowerRequest, Stop};

mod basis;
mod console;
mod fences;
mod harts;
mod ipi;
mod legacy;
mod pmu;
mod sta;
mod system;
mod timer;

pub(crate) use pmu::Counters;
pub(crate) use sta::Steal;

/// A file's part of the table: which extension it answers for.
struct Entry {
    extension: Extension,
    answer: Handler,
}

type Handler = fn(&mut Request<'_>) -> Answer;

/// All extensions that guests can have.
const TABLE: &[&[Entry]] = &[
    timer::EXTENSIONS,
    ipi::EXTENSIONS,
    fences::EXTENSIONS,
    console::EXTENSIONS,
    basis::EXTENSIONS,
    harts::EXTENSIONS,
    system::EXTENSIONS,
    pmu::EXTENSIONS,
    sta::EXTENSIONS,
    legacy::EXTENSIONS,
];

/// The same, by extension.
#[expect(clippy::indexing_slicing, reason = "the compiler does it, and would say so")]
static HANDLERS: [Option<Handler>; Extension::ALL.len()] = {
    let mut handlers = [None; Extension::ALL.len()];
    let mut rest = TABLE;
    while let [entries, after @ ..] = rest {
        let mut entries = *entries;
        while let [entry, others @ ..] = entries {
            handlers[entry.extension as usize] = Some(entry.answer);
            entries = others;
        }
        rest = after;
    }
    handlers
};

/// What answers for an extension.
#[inline]
fn of(extension: Extension) -> Option<Handler> {
    HANDLERS.get(extension as usize).copied().flatten()
}

/// What the firmware of a guest is like; the same for all of its CPUs.
pub struct Settings {
    /// A bit for each extension that the guest does not have ([`Extension::bit`]).
    pub without: u32,
    /// Where the debug console leads.
    pub console: Option<Arc<Serial>>,
    /// The guest's memory.
    pub memory: Arc<dyn GuestMemory>,
}

impl Settings {
    /// Sends a byte to the debug console; `false` while somebody looks who has not seen enough yet. Without a console
    /// bytes go nowhere.
    fn put(&self, byte: u8) -> bool {
        self.console.as_ref().is_none_or(|console| console.put(byte))
    }

    /// Whether the guest has an extension.
    fn has(&self, extension: Extension) -> bool {
        self.without & extension.bit() == 0 && of(extension).is_some()
    }
}

/// What the firmware keeps for one CPU.
#[derive(Default)]
pub(crate) struct Own {
    /// Where a CPU that is suspended without its registers begins again.
    resume: Option<PowerOn>,
    suspended: bool,
    /// A byte that the CPU waits to get rid of.
    unsent: Option<u8>,
    pub(crate) counters: Counters,
    /// Where the CPU finds how much time was taken from it.
    pub(crate) steal: Option<Steal>,
    /// Whether the guest asked where it is told how much time was taken from the CPU (PV_TIME_ST).
    pub(crate) asked_for_stolen_time: bool,
}

impl Own {
    /// Whether the CPU is suspended: it goes on when an interrupt waits for it.
    #[inline]
    pub(crate) fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Sends the byte that the CPU waits to get rid of, if there is one and room for it; says whether none is left.
    #[inline]
    pub(crate) fn is_sent(&mut self, firmware: &Settings) -> bool {
        if let Some(byte) = self.unsent
            && firmware.put(byte)
        {
            self.unsent = None;
        }
        self.unsent.is_none()
    }

    /// The CPU goes on; says where, if not where it was.
    pub(crate) fn wake(&mut self) -> Option<PowerOn> {
        self.suspended = false;
        self.resume.take()
    }
}

/// What of a virtual CPU a call may touch.
trait Hart {
    fn read_virtual(&mut self, space: &Space, at: u64) -> Option<u64>;
    fn set_timer(&mut self, ticks: u64);
    fn has_tallies(&self) -> bool;
    fn set_tally(&mut self, tally: Tally, from: Option<u64>, runs: bool);
}

impl<C: GuestCpu<Machine = Machine>> Hart for C {
    fn read_virtual(&mut self, space: &Space, at: u64) -> Option<u64> {
        GuestCpu::read_virtual(self, space, at)
    }
    fn set_timer(&mut self, ticks: u64) {
        GuestCpu::set_timer(self, ticks);
    }
    fn has_tallies(&self) -> bool {
        GuestCpu::has_tallies(self)
    }
    fn set_tally(&mut self, tally: Tally, from: Option<u64>, runs: bool) {
        GuestCpu::set_tally(self, tally, from, runs);
    }
}

/// A call.
struct Request<'a> {
    extension: Extension,
    /// a6.
    function: u32,
    /// a0 to a5.
    arguments: [u64; 6],
    hart: &'a mut dyn Hart,
    caller: &'a Caller<'a>,
    own: &'a mut Own,
}

/// The result of a call.
enum Answer {
    /// a0 and a1.
    Both(Error, u64),
    /// a0 alone: of a legacy extension.
    Legacy(u64),
    /// None: the CPU takes an exception at the call.
    Fault,
    /// The CPU waits until the debug console has room for a byte, and finds success then: the extension's own.
    Send(u8),
    /// The CPU waits; when it goes on, it finds success, or begins where it was told to.
    Suspend,
    /// The CPU stops, and the guest's registers are left as they are.
    Gone(PowerRequest),
}

impl Answer {
    const SUCCESS: Self = Self::Both(Error::Success, 0);
    const NOT_SUPPORTED: Self = Self::Both(Error::NotSupported, 0);
    const INVALID: Self = Self::Both(Error::InvalidParam, 0);

    fn value(value: u64) -> Self {
        Self::Both(Error::Success, value)
    }
    fn error(error: Error) -> Self {
        Self::Both(error, 0)
    }
}

/// The low half of a register: numbers of functions and extensions, and arguments that have 32 bits.
fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whether an extension is one of version 0.1, or of the numbers that are kept for them: they return a0 alone.
fn is_legacy(extension: u64) -> bool {
    low(extension) < Extension::Base.id()
}

/// Answers a call.
#[inline]
pub(super) fn call<C: GuestCpu<Machine = Machine>>(
    cpu: &mut C,
    call: Call,
    caller: &Caller<'_>,
    own: &mut Own,
) -> ControlFlow<Stop> {
    let [.., function, _] = cpu.arguments();
    if call.function == u64::from(Extension::Base.id()) && function == u64::from(base::GET_SPEC_VERSION) {
        cpu.answer_call(call, [Error::Success.register(), VERSION_2_0]);
        return Continue(());
    }
    any(cpu, call, caller, own)
}

#[inline(never)]
fn any<C: GuestCpu<Machine = Machine>>(
    cpu: &mut C,
    call: Call,
    caller: &Caller<'_>,
    own: &mut Own,
) -> ControlFlow<Stop> {
    let answer = answer(cpu, low(call.function), caller, own);
    match answer {
        Answer::Both(error, _) if is_legacy(call.function) => cpu.answer_call(call, [error.register()]),
        Answer::Both(error, value) => cpu.answer_call(call, [error.register(), value]),
        Answer::Legacy(value) => cpu.answer_call(call, [value]),
        Answer::Fault => {}
        Answer::Send(byte) => {
            // Neither is told more than success: those of version 0.1 by a0 alone.
            if is_legacy(call.function) {
                cpu.answer_call(call, [0])
            } else {
                cpu.answer_call(call, [0, 0])
            }
            own.unsent = Some(byte);
            if !own.is_sent(&caller.buses.firmware) {
                return Break(Stop::Yield);
            }
        }
        Answer::Suspend => {
            cpu.answer_call(call, [Error::Success.register(), 0]);
            caller.siblings.set_suspended(caller.index, true);
            own.suspended = true;
            return Break(Stop::Idle);
        }
        Answer::Gone(request) => {
            // Answered although nobody will see it: the CPU starts anew or not at all.
            cpu.answer_call(call, [Error::Success.register(), 0]);
            return Break(Stop::Power(request));
        }
    }
    Continue(())
}

fn answer<C: GuestCpu<Machine = Machine>>(
    cpu: &mut C,
    extension: u32,
    caller: &Caller<'_>,
    own: &mut Own,
) -> Answer {
    let [a0, a1, a2, a3, a4, a5, function, _] = cpu.arguments();
    let Some(extension) = Extension::decode(extension) else { return Answer::NOT_SUPPORTED };
    if caller.buses.firmware.without & extension.bit() != 0 {
        return Answer::NOT_SUPPORTED;
    }
    let Some(answer) = of(extension) else { return Answer::NOT_SUPPORTED };
    answer(&mut Request {
        extension,
        function: low(function),
        arguments: [a0, a1, a2, a3, a4, a5],
        hart: cpu,
        caller,
        own,
    })
}

impl Request<'_> {
    /// Does something to each hart that is meant, if all of them exist.
    fn for_each(&self, harts: isa_firmware::sbi::Harts, mut act: impl FnMut(u32)) -> Result<(), Error> {
        let siblings = self.caller.siblings;
        // Mostly it is one, and harts have their numbers.
        if let Some(hart) = harts.only()
            && siblings.hardware_id(low(hart)) == Some(hart)
        {
            act(low(hart));
            return Ok(());
        }
        let all = || (0..).map_while(|index| Some((index, siblings.hardware_id(index)?)));
        let meant = || all().filter(|(_, id)| harts.has(*id)).map(|(index, _)| index);
        if harts.count().is_some_and(|count| meant().count() != count as usize) {
            return Err(Error::InvalidParam);
        }
        meant().for_each(&mut act);
        Ok(())
    }

    /// Has all processors on which the guest runs forget something. That they are asked for some of the guest's harts
    /// only makes no difference that the guest could see.
    fn forget(&self, what: Stale) {
        arch::GuestSpace::forget(self.caller.space, what);
    }

    /// Where a hart shall begin, from arguments.
    fn start(&self, entry: u64, argument: u64) -> Result<PowerOn, Error> {
        let from = PowerOn { entry: Gpa::new(entry), argument };
        if self.caller.siblings.can_start(from) { Ok(from) } else { Err(Error::InvalidAddress) }
    }
}
