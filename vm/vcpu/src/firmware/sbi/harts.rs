//! HSM (riscv-sbi-doc, chapter 9): harts are started, stopped and suspended; and SUSP (chapter 13), which suspends the
//! last one of them.

use isa_firmware::sbi::{Error, Extension, hsm, susp};

use super::{Answer, Entry, Request, low};
use crate::{CpuState, PowerError, PowerRequest};

pub(super) const EXTENSIONS: &[Entry] = &[
    Entry { extension: Extension::Hsm, answer },
    Entry { extension: Extension::Susp, answer: suspend_system },
];

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, second, third, ..] = request.arguments;
    match request.function {
        hsm::HART_START => start(request, first, second, third),
        hsm::HART_STOP => Answer::Gone(PowerRequest::CpuOff),
        hsm::HART_GET_STATUS => match request.caller.siblings.state(first) {
            None => Answer::INVALID,
            Some(CpuState::On) => Answer::value(hsm::State::Started as u64),
            Some(CpuState::Off) => Answer::value(hsm::State::Stopped as u64),
            Some(CpuState::OnPending) => Answer::value(hsm::State::StartPending as u64),
            Some(CpuState::Suspended) => Answer::value(hsm::State::Suspended as u64),
        },
        hsm::HART_SUSPEND => match low(first) {
            hsm::SUSPEND_RETENTIVE => Answer::Suspend,
            hsm::SUSPEND_NON_RETENTIVE => suspend(request, second, third),
            // Reserved; or a platform's own, of which there are none (Table 15).
            _ => Answer::INVALID,
        },
        _ => Answer::NOT_SUPPORTED,
    }
}

fn start(request: &mut Request<'_>, hart: u64, entry: u64, argument: u64) -> Answer {
    if request.caller.siblings.state(hart).is_none() {
        return Answer::INVALID;
    }
    let from = match request.start(entry, argument) {
        Ok(from) => from,
        Err(error) => return Answer::error(error),
    };
    match request.caller.siblings.power_on(hart, from) {
        Ok(()) => Answer::SUCCESS,
        Err(PowerError::NoSuchCpu) => Answer::INVALID,
        Err(PowerError::AlreadyOn | PowerError::OnPending) => Answer::error(Error::AlreadyAvailable),
        Err(PowerError::BadEntry) => Answer::error(Error::InvalidAddress),
    }
}

/// The hart forgets its registers, and begins anew when an interrupt comes.
fn suspend(request: &mut Request<'_>, entry: u64, argument: u64) -> Answer {
    match request.start(entry, argument) {
        Ok(from) => {
            request.own.resume = Some(from);
            Answer::Suspend
        }
        Err(error) => Answer::error(error),
    }
}

fn suspend_system(request: &mut Request<'_>) -> Answer {
    let [kind, entry, argument, ..] = request.arguments;
    if request.function != susp::SYSTEM_SUSPEND {
        return Answer::NOT_SUPPORTED;
    }
    if low(kind) != susp::SUSPEND_TO_RAM {
        return Answer::INVALID;
    }
    // All others have to be stopped (13.1).
    let (siblings, index) = (request.caller.siblings, request.caller.index);
    let mut others =
        (0..).map_while(|at| Some((at, siblings.hardware_id(at)?))).filter(|(at, _)| *at != index);
    if others.any(|(_, id)| siblings.state(id) != Some(CpuState::Off)) {
        return Answer::error(Error::Denied);
    }
    suspend(request, entry, argument)
}
