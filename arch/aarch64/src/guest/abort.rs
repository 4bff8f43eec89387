//! A guest's accesses to what is not memory: from the abort to the place that was meant, and from the
//! answer back to its registers.

use addr::{Gpa, Hpa};
use arch_api::{Exit, GuestFault, Place, Read, Width, Write};
use isa_a64::esr::{Abort, Fault, ipa};
use isa_a64::ldst::{self, Base, Direction, File, Instruction, Ordering};
use isa_a64::pstate::Pstate;
use isa_a64::{Esr, Gpr, esr};

use super::State;
use crate::cpu;
use crate::registers::{get, isb, set};

/// What a note says: the register (0 to 4), whether its sign is extended (5), to 64 bits (6), or that the
/// access is a step of `State::steps` (7).
const SIGNED: u32 = 1 << 5;
const WIDE: u32 = 1 << 6;
const STEP: u32 = 1 << 7;

/// The note of a system register's access.
pub(super) fn register_note(rt: Gpr) -> u32 {
    rt.index() as u32 | WIDE
}

/// An instruction of several accesses, or with more to do than one register, in progress.
#[derive(Clone, Debug)]
pub(super) struct Steps {
    /// The transfer; `None` when nothing is in progress.
    transfer: Option<ldst::Transfer>,
    /// Where the next access goes.
    at: u64,
    /// Bytes done, of how many.
    done: u8,
    total: u8,
    /// The guest-virtual address of the base after the instruction, for writeback.
    base: u64,
}

impl Steps {
    pub(super) const fn none() -> Self {
        Self { transfer: None, at: 0, done: 0, total: 0, base: 0 }
    }
}

/// A data abort from a guest.
#[inline(always)]
pub(super) fn data(state: &mut State, esr: Esr) -> Option<Exit> {
    let abort = Abort::new(esr);
    state.far = get!("far_el2");
    state.was_write = abort.is_write();
    if let (Some(transfer), Fault::Translation(_), false) =
        (abort.transfer(), abort.fault(), abort.in_stage1_walk())
    {
        // The common case: a load or store of one register, at an address where nothing is mapped.
        let place = Place::Memory(Gpa::new(ipa(get!("hpfar_el2"), state.far)));
        return access(state, transfer, place, abort.is_write());
    }
    unusual(state, abort)
}

#[inline(always)]
fn access(state: &State, transfer: esr::Transfer, place: Place, is_write: bool) -> Option<Exit> {
    let width = Width::from_bytes(u64::from(transfer.bytes()))?;
    let register = transfer.register();
    Some(if is_write {
        let value = state.operand(register) & width.mask();
        Exit::Write(Write { place, width, value, note: register.index() as u32 })
    } else {
        let signed = if transfer.sign_extends() { SIGNED } else { 0 };
        let wide = if transfer.is_64bit() { WIDE } else { 0 };
        Exit::Read(Read { place, width, note: register.index() as u32 | signed | wide })
    })
}

/// Aborts that are not a plain access to an unmapped address.
#[cold]
fn unusual(state: &mut State, abort: Abort) -> Option<Exit> {
    let external = Some(Exit::Fault(GuestFault::ExternalAbort));
    if abort.in_stage1_walk() {
        // The guest's tables lie where nothing is.
        return external;
    }
    match abort.fault() {
        Fault::Translation(_) | Fault::Permission(_) | Fault::AccessFlag(_) | Fault::AddressSize(_) => {}
        _ => return external,
    }
    if abort.is_maintenance() {
        // Cache maintenance of what is not memory has nothing to do.
        state.gprs.pc = state.gprs.pc.wrapping_add(4);
        return None;
    }
    let from = Pstate::new(state.gprs.pstate);
    let at = if abort.hpfar_is_valid() {
        ipa(get!("hpfar_el2"), state.far)
    } else {
        // If that fails, the guest changed its tables meanwhile: it tries again.
        translate(state.far, from, Stage::One)?
    };
    if let Some(transfer) = abort.transfer() {
        return access(state, transfer, Place::Memory(Gpa::new(at)), abort.is_write());
    }
    if from.is_aarch32() {
        return external;
    }
    let word = match translate(state.gprs.pc, from, Stage::Both) {
        // The guest may have changed its tables meanwhile: only what we map, too, is looked at.
        // SAFETY: the hardware says that we can read it.
        Some(pc) if cpu::is_readable(pc as usize & !3) => unsafe { instruction(Hpa::new(pc & !3)) },
        _ => return None,
    };
    decoded(state, at, word)
}

/// Goes by the instruction word, where the syndrome says nothing of it.
fn decoded(state: &mut State, at: u64, word: u32) -> Option<Exit> {
    let external = Some(Exit::Fault(GuestFault::ExternalAbort));
    let transfer = match ldst::decode(word) {
        Ok(Instruction::Transfer(transfer)) => transfer,
        Ok(Instruction::Prefetch) => {
            state.gprs.pc = state.gprs.pc.wrapping_add(4);
            return None;
        }
        Ok(Instruction::ZeroBlock { .. }) | Err(_) => return external,
    };
    if matches!(transfer.ordering, Ordering::Exclusive { .. }) {
        // Exclusives on a device have no defined result (B2.12.5).
        return external;
    }
    let Base::Register(base) = transfer.base else { return external };
    let base_value = if base.index() == 31 { stack_pointer(state) } else { state.operand(base) };
    let first = transfer.address(base_value, |index| state.operand(index));
    // The abort may be for the second half of an access that crosses a page: begin where it begins.
    let start = at.wrapping_sub(state.far.wrapping_sub(first));
    if transfer.file == File::Vector {
        state.vectors.save();
    }
    state.steps = Steps {
        transfer: Some(transfer),
        at: start,
        done: 0,
        total: transfer.total_bytes(),
        base: base_value,
    };
    next_step(state)
}

/// The next access of an instruction in progress.
#[inline]
pub(super) fn next_step(state: &mut State) -> Option<Exit> {
    if state.steps.transfer.is_none() { None } else { step(state) }
}

#[cold]
fn step(state: &mut State) -> Option<Exit> {
    let steps = state.steps.clone();
    let transfer = steps.transfer?;
    let width = step_width(&transfer);
    let place = Place::Memory(Gpa::new(steps.at));
    Some(match transfer.direction {
        Direction::Load => Exit::Read(Read { place, width, note: STEP }),
        Direction::Store => {
            let value = element(state, &transfer, steps.done) & width.mask();
            Exit::Write(Write { place, width, value, note: STEP })
        }
    })
}

/// Elements of 16 bytes are moved in two halves.
fn step_width(transfer: &ldst::Transfer) -> Width {
    Width::from_bytes(u64::from(transfer.bytes.min(8))).unwrap_or(Width::B8)
}

/// Which register, and which half of it, the byte at `done` belongs to.
fn target(transfer: &ldst::Transfer, done: u8) -> (Gpr, usize) {
    let bytes = transfer.bytes.max(1);
    let register = if done < bytes { transfer.first } else { transfer.second.unwrap_or(transfer.first) };
    (register, usize::from(done % bytes / 8))
}

fn element(state: &State, transfer: &ldst::Transfer, done: u8) -> u64 {
    let (register, half) = target(transfer, done);
    match transfer.file {
        File::General => state.operand(register),
        File::Vector => state.vectors.v.get(register.index()).and_then(|v| v.get(half)).copied().unwrap_or(0),
    }
}

/// One access is done: `value` is what was loaded. Goes on to the next, or ends the instruction.
fn stepped(state: &mut State, value: Option<u64>) {
    let Some(transfer) = state.steps.transfer else { return };
    let done = state.steps.done;
    if let Some(value) = value {
        let (register, half) = target(&transfer, done);
        match transfer.file {
            File::General => state.set_operand(register, transfer.extend(value)),
            File::Vector => {
                if let Some(vector) = state.vectors.v.get_mut(register.index()) {
                    if half == 0 {
                        *vector = [value, 0];
                    } else {
                        vector[1] = value;
                    }
                }
                state.vectors_changed = true;
            }
        }
    }
    let width = step_width(&transfer).bytes();
    state.steps.done = done + width as u8;
    state.steps.at = state.steps.at.wrapping_add(width);
    if state.steps.done < state.steps.total {
        return;
    }
    if let (Some(by), Base::Register(base)) = (transfer.writeback, transfer.base) {
        let value = state.steps.base.wrapping_add(by.cast_unsigned());
        if base.index() == 31 {
            state.new_stack_pointer = Some(value);
        } else {
            state.set_operand(base, value);
        }
    }
    state.steps = Steps::none();
    state.gprs.pc = state.gprs.pc.wrapping_add(4);
}

#[inline]
pub(super) fn answer_read(state: &mut State, read: Read, value: Result<u64, GuestFault>) {
    match value {
        Ok(value) if read.note & STEP == 0 => {
            let bytes = read.width.bytes() as u8;
            let value = esr::extend(value, bytes, read.note & SIGNED != 0, read.note & WIDE != 0);
            state.set_operand(Gpr::new(read.note), value);
            state.gprs.pc = state.gprs.pc.wrapping_add(4);
        }
        Ok(value) => stepped(state, Some(value & read.width.mask())),
        Err(fault) => refuse(state, fault),
    }
}

#[inline]
pub(super) fn answer_write(state: &mut State, write: Write, done: Result<(), GuestFault>) {
    match done {
        Ok(()) if write.note & STEP == 0 => state.gprs.pc = state.gprs.pc.wrapping_add(4),
        Ok(()) => stepped(state, None),
        Err(fault) => refuse(state, fault),
    }
}

#[cold]
fn refuse(state: &mut State, fault: GuestFault) {
    state.steps = Steps::none();
    state.fault = Some(fault);
}

// ——— Addresses ———

enum Stage {
    One,
    Both,
}

/// Asks the hardware where the guest's virtual `address` leads, for reading; the guest is loaded.
fn translate(address: u64, from: Pstate, stage: Stage) -> Option<u64> {
    let own = get!("par_el1");
    // SAFETY: address translation changes PAR_EL1 alone, which is the guest's: put back below.
    unsafe {
        match (stage, from.is_el0()) {
            (Stage::One, false) => core::arch::asm!("at s1e1r, {}", in(reg) address, options(nostack)),
            (Stage::One, true) => core::arch::asm!("at s1e0r, {}", in(reg) address, options(nostack)),
            (Stage::Both, false) => core::arch::asm!("at s12e1r, {}", in(reg) address, options(nostack)),
            (Stage::Both, true) => core::arch::asm!("at s12e0r, {}", in(reg) address, options(nostack)),
        }
    }
    isb();
    let par = get!("par_el1");
    // SAFETY: as it was.
    unsafe { set!("par_el1", own) };
    if par & 1 != 0 { None } else { Some(par & 0x000f_ffff_ffff_f000 | address & 0xfff) }
}

/// The instruction at a host-physical address.
///
/// # Safety
/// The address is in memory that we map.
unsafe fn instruction(at: Hpa) -> u32 {
    // SAFETY: the caller's promise; a guest may change it meanwhile, hence volatile.
    unsafe { core::ptr::read_volatile(at.get() as *const u32) }
}

/// The stack pointer that the interrupted code uses.
fn stack_pointer(state: &State) -> u64 {
    if state.gprs.pstate & 0xf == Pstate::EL1H { get!("sp_el1") } else { get!("sp_el0") }
}
