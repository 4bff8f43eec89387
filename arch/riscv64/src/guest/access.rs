//! Accesses of a guest to what is not memory, and to CSRs that something of its machine answers for.

use addr::Gpa;
use arch_api::{Exit, GuestFault, Place, Read, RegisterId, Width, Write};
use isa_rv::csr::{self, Csr, Operand};
use isa_rv::ldst::{self, Direction, Length, Register, Transfer};
use isa_rv::{Gpr, cause};

use super::state;
use super::vcpu::{Due, State};
use crate::cpu::PerCpu;
use crate::csr::{attempt, get, hstatus, set_bits, sstatus};

/// In a note: the access is one of a CSR, whose rest is in [`State::step`].
const CSR: u32 = 1 << 31;
/// In a note: what follows is packed by [`note`]; without, it is the instruction as `htinst` had it.
const PACKED: u32 = 1 << 30;

/// LOAD and STORE, without the bit that tells a compressed instruction that stands for one.
const LOAD: u32 = 0b000_0001;
const STORE: u32 = 0b010_0001;
const OPCODE: u32 = 0b111_1101;
/// What counts of a transformed instruction: the address is elsewhere.
const COUNTS: u32 = 0x01ff_ffff;

/// What a note says of a load or store: register, its kind, log2 of the bytes, length of the instruction.
const fn note(transfer: Transfer) -> u32 {
    let (kind, number) = match transfer.register {
        Register::Zero(gpr) => (0, gpr.index() as u32),
        Register::Sign(gpr) => (1, gpr.index() as u32),
        Register::Float(number) => (2, number as u32),
    };
    PACKED | number | kind << 5 | (transfer.size as u32) << 8 | (transfer.length.bytes() as u32) << 12
}

const fn noted(note: u32) -> Transfer {
    let number = note & 31;
    let register = match note >> 5 & 3 {
        0 => Register::Zero(Gpr::new(number)),
        1 => Register::Sign(Gpr::new(number)),
        _ => Register::Float(number as u8),
    };
    let length = if note >> 12 & 7 == 2 { Length::Two } else { Length::Four };
    Transfer { direction: Direction::Load, size: (note >> 8 & 3) as u8, register, length }
}

/// The rest of an access to a CSR.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    register: RegisterId,
    /// What takes the old value when all is done.
    to: Gpr,
    /// What was read.
    old: u64,
    /// How the new value comes from the old one, while that is yet to be written.
    change: Option<(csr::Change, u64)>,
    /// The write is under way, or there is none.
    last: bool,
}

/// A load or store that the guest's memory map has nothing for.
#[inline(always)]
pub(super) fn memory(state: &mut State, cpu: &PerCpu, is_store: bool) -> Option<Exit> {
    let (value, mut htinst) = (get!("stval"), get!("htinst"));
    if cfg!(debug_assertions) && ldst::transformed(htinst).is_some() {
        // A hart may always say nothing, and few that can be emulated do: debug builds act as on one.
        htinst = 0;
    }
    let at = get!("htval") << 2 | value & 3;
    state.far = value;
    state.was_write = is_store;
    // Nearly always it is an integer register, aligned: all is where it is wanted.
    let word = htinst as u32 & COUNTS;
    let (kind, size) = (word >> 12 & 7, (word >> 12 & 3) as u8);
    let place = Place::Memory(Gpa::new(at));
    if (at | ldst::address_offset(word.into())) & ((1 << size) - 1) == 0 {
        if word & OPCODE == LOAD && !is_store && kind != 7 {
            return Some(Exit::Read(Read { place, width: width(size), note: word }));
        }
        if word & OPCODE == STORE && is_store && kind < 4 {
            let width = width(size);
            let value = state.operand(Gpr::new(word >> 20 & 31)) & width.mask();
            return Some(Exit::Write(Write { place, width, value, note: word }));
        }
    }
    any_other(state, cpu, is_store, htinst, at)
}

/// Floating-point registers, what must be fetched, and what is refused.
#[cold]
fn any_other(state: &mut State, cpu: &PerCpu, is_store: bool, htinst: u64, at: u64) -> Option<Exit> {
    let (decoded, behind) = match ldst::transformed(htinst) {
        Some(decoded) => (decoded, ldst::address_offset(htinst)),
        // A pseudoinstruction: the guest's own tables lie where no memory is.
        None if htinst != 0 => return refuse(state, access_fault(is_store)),
        None => {
            let word = fetch(state.gprs.pc)?;
            let (base, offset) = ldst::address(word);
            (ldst::decode(word), state.far.wrapping_sub(state.operand(base).wrapping_add_signed(offset)))
        }
    };
    let Ok(transfer) = decoded else { return refuse(state, access_fault(is_store)) };
    // Somebody changed the instruction meanwhile: the guest does it again.
    if (transfer.direction == Direction::Store) != is_store {
        return None;
    }
    if matches!(transfer.register, Register::Float(_)) && !has_floats(state, cpu) {
        return refuse_float(state);
    }
    let width = width(transfer.size);
    // What faulted may be the second part alone, that of the next page: the address is the first one's. Bits further up
    // may be a pointer's mask.
    let behind = behind & (width.bytes() - 1);
    if (at | behind) & (width.bytes() - 1) != 0 {
        state.far = state.far.wrapping_sub(behind);
        return refuse(state, if is_store { cause::STORE_MISALIGNED } else { cause::LOAD_MISALIGNED });
    }
    let place = Place::Memory(Gpa::new(at));
    if !is_store {
        return Some(Exit::Read(Read { place, width, note: note(transfer) }));
    }
    let value = match transfer.register {
        Register::Zero(gpr) | Register::Sign(gpr) => state.operand(gpr),
        Register::Float(number) => state::float(number),
    };
    Some(Exit::Write(Write { place, width, value: value & width.mask(), note: note(transfer) }))
}

/// Whether the guest may use floating-point registers: then its own are in the hardware from here on. An instruction that
/// was fetched need not be the one that trapped, which the hart has looked at: the guest may have put it there meanwhile.
fn has_floats(state: &mut State, cpu: &PerCpu) -> bool {
    let may = state.units.has_floats() && get!("vsstatus") & sstatus::FS != 0;
    if may {
        state.take_units(cpu);
    }
    may
}

/// An instruction of floating-point registers that the guest does not have; `stval` need not tell which.
fn refuse_float(state: &mut State) -> Option<Exit> {
    state.due = Some(Due { cause: cause::ILLEGAL, value: 0 });
    None
}

/// Bytes of the instruction in a note that is not packed.
const fn length(note: u32) -> u64 {
    (2 + (note & 2)) as u64
}

const fn access_fault(is_store: bool) -> u64 {
    if is_store { cause::STORE_ACCESS } else { cause::LOAD_ACCESS }
}

const fn width(size: u8) -> Width {
    match size {
        0 => Width::B1,
        1 => Width::B2,
        2 => Width::B4,
        _ => Width::B8,
    }
}

#[cold]
fn refuse(state: &mut State, cause: u64) -> Option<Exit> {
    state.due = Some(Due { cause, value: state.far });
    None
}

/// The instruction at a guest-virtual address, read as the guest would execute it; `None` when it could not.
/// The guest is loaded, and left just now.
#[cold]
pub(super) fn fetch(pc: u64) -> Option<u32> {
    let low = parcel(pc)?;
    if low & 3 != 3 {
        return Some(low.into());
    }
    let high = parcel(pc.wrapping_add(2))?;
    Some(u32::from(high) << 16 | u32::from(low))
}

fn parcel(at: u64) -> Option<u16> {
    // SAFETY: whoever settles an exit has interrupts masked; HLVX reaches guest memory alone.
    let value = unsafe { attempt!("hlvx.hu {value}, ({operand})", at) };
    value.map(|value| value as u16)
}

/// An argument of a call that lies in memory; when it can't be read, the call is not made (SBI, "Legacy Extensions":
/// faults are redirected to the supervisor, at the ECALL). Interrupts are masked, and the guest is loaded.
#[cold]
pub(super) fn argument(state: &mut State, at: u64) -> Option<u64> {
    let result = word(at);
    if let Err(cause) = result {
        state.gprs.pc = state.gprs.pc.wrapping_sub(state.past_call);
        state.past_call = 0;
        state.due = Some(Due { cause, value: at });
    }
    result.ok()
}

/// The 64 bits at a guest-virtual address, as the guest's supervisor mode would load them (HLV.D); the cause of the
/// exception that this would be, when it could not. Interrupts are masked, and the guest is loaded.
fn word(at: u64) -> Result<u64, u64> {
    // SAFETY: interrupts are masked; SPVP says with which rights is loaded, and every exit sets it anew.
    let value = unsafe {
        set_bits!("hstatus", hstatus::SPVP);
        attempt!("hlv.d {value}, ({operand})", at)
    };
    // Nothing else trapped since.
    value.ok_or_else(|| match get!("scause") {
        cause::GUEST_LOAD => cause::LOAD_ACCESS,
        own => own,
    })
}

/// Registers that some device of the machine answers for: the interrupt file.
fn is_emulated(state: &State, csr: Csr) -> bool {
    state.ties.profile.irq_registers && [Csr::STOPEI, Csr::SIREG].contains(&csr)
}

/// An instruction that trapped as virtual: an access to a CSR, or one that is illegal.
pub(super) fn register(state: &mut State, word: u32) -> Option<Exit> {
    let emulated = csr::decode(word).filter(|access| is_emulated(state, access.csr));
    let Some(access) = emulated else {
        state.due = Some(Due { cause: cause::ILLEGAL, value: word.into() });
        return None;
    };
    state.word = word;
    let number = match access.csr {
        Csr::SIREG => csr::indirect(state::selected()),
        direct => direct.0.into(),
    };
    let register = RegisterId(number);
    let change = access.change.map(|(change, operand)| {
        let operand = match operand {
            Operand::Register(gpr) => state.operand(gpr),
            Operand::Immediate(bits) => bits.into(),
        };
        (change, operand)
    });
    let step = Step { register, to: access.to, old: 0, change, last: change.is_none() };
    state.step = Some(step);
    Some(Exit::Read(Read { place: Place::Register(register), width: Width::B8, note: CSR }))
}

/// The write that follows the read of a CSR.
#[cold]
pub(super) fn next_step(state: &mut State) -> Option<Exit> {
    let step = state.step.as_mut()?;
    let (change, operand) = step.change.take()?;
    step.last = true;
    let value = change.apply(step.old, operand);
    Some(Exit::Write(Write { place: Place::Register(step.register), width: Width::B8, value, note: CSR }))
}

#[inline(always)]
pub(super) fn answer_read(state: &mut State, read: Read, value: Result<u64, GuestFault>) {
    match value {
        Ok(value) if read.note & (CSR | PACKED) == 0 => {
            let note = read.note;
            let unused = 64 - (8 << (note >> 12 & 3));
            let value = value << unused;
            let is_signed = note & 4 << 12 == 0;
            let value = if is_signed { (value as i64 >> unused) as u64 } else { value >> unused };
            state.set_operand(Gpr::new(note >> 7 & 31), value);
            state.gprs.pc = state.gprs.pc.wrapping_add(length(note));
        }
        Ok(value) if read.note & CSR == 0 => {
            let transfer = noted(read.note);
            let value = transfer.extend(value);
            match transfer.register {
                Register::Zero(gpr) | Register::Sign(gpr) => state.set_operand(gpr, value),
                Register::Float(number) => state.new_float = Some((number, value)),
            }
            state.gprs.pc = state.gprs.pc.wrapping_add(transfer.length.bytes());
        }
        Ok(value) => {
            if let Some(step) = &mut state.step {
                step.old = value;
                if step.last {
                    finish(state);
                }
            }
        }
        Err(fault) => state.fault(fault),
    }
}

#[inline(always)]
pub(super) fn answer_write(state: &mut State, write: Write, done: Result<(), GuestFault>) {
    match done {
        Ok(()) if write.note & (CSR | PACKED) == 0 => {
            state.gprs.pc = state.gprs.pc.wrapping_add(length(write.note));
        }
        Ok(()) if write.note & CSR == 0 => {
            state.gprs.pc = state.gprs.pc.wrapping_add(noted(write.note).length.bytes());
        }
        Ok(()) => finish(state),
        Err(fault) => state.fault(fault),
    }
}

/// An access to a CSR is over.
fn finish(state: &mut State) {
    if let Some(step) = state.step.take() {
        state.set_operand(step.to, step.old);
        state.gprs.pc = state.gprs.pc.wrapping_add(4);
    }
}
