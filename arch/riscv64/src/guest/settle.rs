//! What a trap from a guest means (Priv, "Trap Entry", and the hypervisor extension's causes).
//!
//! What can be settled here, without anybody above, is; the rest becomes an [`Exit`].

use arch_api::{Call, Conduit, Exit};
use isa_rv::cause;

use super::access;
use super::vcpu::{Due, State};
use crate::cpu::PerCpu;
use crate::csr::{get, sstatus};

/// The instruction words that matter beside CSR accesses.
const WFI: u32 = 0x1050_0073;
/// WRS.NTO and WRS.STO (Zawrs).
const WRS_NTO: u32 = 0x00d0_0073;
const WRS_STO: u32 = 0x01d0_0073;

/// Says what the guest needs from above; nothing when it can go on.
#[inline(always)]
pub(super) fn settle(state: &mut State, cpu: &PerCpu, scause: u64) -> Option<Exit> {
    // In this order, which a `match` would not keep: each comparison is one of all exits.
    if scause == cause::CALL_FROM_VIRTUAL {
        state.gprs.pc = state.gprs.pc.wrapping_add(4);
        state.past_call = 4;
        let a7 = state.gprs.x[17];
        return Some(Exit::Call(Call { conduit: Conduit::Environment, immediate: 0, function: a7 }));
    }
    if scause == cause::GUEST_LOAD || scause == cause::GUEST_STORE {
        return access::memory(state, cpu, scause == cause::GUEST_STORE);
    }
    other(state, cpu, scause)
}

#[cold]
fn other(state: &mut State, cpu: &PerCpu, scause: u64) -> Option<Exit> {
    match scause {
        interrupt if interrupt & cause::INTERRUPT != 0 => Some(Exit::Host),
        cause::GUEST_FETCH => {
            state.due = Some(Due { cause: cause::FETCH_ACCESS, value: get!("stval") });
            None
        }
        cause::VIRTUAL_INSTRUCTION => virtual_instruction(state),
        // With the units, the instruction is tried again.
        cause::ILLEGAL if get!("vsstatus") & (sstatus::FS | sstatus::VS) != 0 && state.take_units(cpu) => {
            None
        }
        // What should have gone to the guest directly, goes to it so.
        exception => {
            state.due = Some(Due { cause: exception, value: get!("stval") });
            None
        }
    }
}

/// An instruction that would be there for a hypervisor's own supervisor mode.
fn virtual_instruction(state: &mut State) -> Option<Exit> {
    // `stval` may hold the instruction, or nothing.
    let word = match get!("stval") {
        // The guest's tables may have changed meanwhile: then it finds out itself.
        0 => access::fetch(state.gprs.pc)?,
        word => word as u32,
    };
    match word {
        WRS_NTO | WRS_STO => {
            state.gprs.pc = state.gprs.pc.wrapping_add(4);
            Some(Exit::Yield)
        }
        _ if state.read_tally(word) => None,
        // A program of the guest's: what is for supervisors does not exist for it, its kernel's interrupts least of all.
        _ if state.gprs.sstatus & sstatus::SPP == 0 => {
            state.due = Some(Due { cause: cause::ILLEGAL, value: word.into() });
            None
        }
        WFI => {
            state.gprs.pc = state.gprs.pc.wrapping_add(4);
            Some(Exit::Wait)
        }
        _ => access::register(state, word),
    }
}
