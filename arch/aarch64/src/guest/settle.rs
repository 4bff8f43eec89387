//! What a synchronous exception from a guest means (DDI 0487, D24.2.42, ESR_EL2).
//!
//! What can be settled here, without anybody above, is; the rest becomes an [`Exit`].

use arch_api::{Call, Conduit, Exit, GuestFault, Place, Read, RegisterId, Width, Write};
use isa_a64::esr::{Class, SysAccess, Wait};
use isa_a64::{Esr, SysReg};

use super::{State, abort, ids};
use crate::registers::get;

/// OSLSR_EL1.OSLM: the OS lock is implemented (and never locked).
const OS_LOCK_EXISTS: u64 = 1 << 3;

/// Says what the guest needs from above; nothing when it can go on.
#[inline(always)]
pub(super) fn settle(state: &mut State) -> Option<Exit> {
    let esr = Esr::new(get!("esr_el2"));
    match esr.class() {
        Class::DABT_LOWER => abort::data(state, esr),
        Class::HVC64 => {
            state.past_call = 4;
            Some(call(state, Conduit::Hypervisor, esr))
        }
        Class::SMC64 => {
            state.gprs.pc = state.gprs.pc.wrapping_add(4);
            state.past_call = 4;
            Some(call(state, Conduit::Firmware, esr))
        }
        Class::WAIT => {
            state.gprs.pc = state.gprs.pc.wrapping_add(esr.instruction_bytes());
            Some(match Wait::new(esr) {
                Wait::Interrupt => Exit::Wait,
                // Waits with a time limit may end early, for any reason (D1.6.2).
                Wait::Event | Wait::InterruptUntil(_) | Wait::EventUntil(_) => Exit::Yield,
            })
        }
        Class::SYS => register(state, SysAccess::new(esr)),
        Class::IABT_LOWER => {
            state.far = get!("far_el2");
            Some(Exit::Fault(GuestFault::FetchAbort))
        }
        _ => Some(Exit::Fault(GuestFault::Undefined)),
    }
}

#[inline(always)]
fn call(state: &State, conduit: Conduit, esr: Esr) -> Exit {
    let [function, ..] = state.gprs.x;
    Exit::Call(Call { conduit, immediate: esr.iss() as u16, function })
}

/// An access to a system register that traps.
#[cold]
fn register(state: &mut State, access: SysAccess) -> Option<Exit> {
    let register = access.register();
    if access.is_read() {
        let value = if register.is_id() {
            ids::value(register, state.ties.profile.irq_registers)
        } else if reads_as_zero(register) {
            0
        } else if register == SysReg::OSLSR_EL1 {
            OS_LOCK_EXISTS
        } else if is_emulated(register) {
            let place = Place::Register(RegisterId(register.bits()));
            return Some(Exit::Read(Read {
                place,
                width: Width::B8,
                note: abort::register_note(access.rt()),
            }));
        } else {
            return Some(Exit::Fault(GuestFault::Undefined));
        };
        state.set_operand(access.rt(), value);
    } else if is_emulated(register) {
        let place = Place::Register(RegisterId(register.bits()));
        let value = state.operand(access.rt());
        return Some(Exit::Write(Write {
            place,
            width: Width::B8,
            value,
            note: abort::register_note(access.rt()),
        }));
    } else if !(reads_as_zero(register) || register == SysReg::OSLAR_EL1) {
        return Some(Exit::Fault(GuestFault::Undefined));
    }
    state.gprs.pc = state.gprs.pc.wrapping_add(4);
    None
}

/// Registers that some device of the machine answers for: software-generated interrupts and the
/// physical timer.
fn is_emulated(register: SysReg) -> bool {
    [
        SysReg::ICC_SGI1R_EL1,
        SysReg::ICC_ASGI1R_EL1,
        SysReg::ICC_SGI0R_EL1,
        SysReg::CNTP_TVAL_EL0,
        SysReg::CNTP_CTL_EL0,
        SysReg::CNTP_CVAL_EL0,
    ]
    .contains(&register)
}

/// Registers that are there but do nothing: self-hosted debug without break- and watchpoints that could
/// match, and the auxiliary control register.
fn reads_as_zero(register: SysReg) -> bool {
    register.breakpoint().is_some()
        || [
            SysReg::MDSCR_EL1,
            SysReg::MDCCINT_EL1,
            SysReg::MDCCSR_EL0,
            SysReg::MDRAR_EL1,
            SysReg::OSDLR_EL1,
            SysReg::OSDTRRX_EL1,
            SysReg::OSDTRTX_EL1,
            SysReg::OSECCR_EL1,
            SysReg::DBGPRCR_EL1,
            SysReg::DBGCLAIMSET_EL1,
            SysReg::DBGCLAIMCLR_EL1,
            SysReg::DBGAUTHSTATUS_EL1,
            SysReg::ACTLR_EL1,
        ]
        .contains(&register)
}
