//! The extensions of version 0.1 (riscv-sbi-doc, chapter 5): one function each, and a0 alone is the result.

use isa_firmware::sbi::{Error, Extension, Harts};

use super::{Answer, Entry, Request, console, fences, ipi, timer};
use crate::PowerRequest;

pub(super) const EXTENSIONS: &[Entry] = &[
    Entry { extension: Extension::LegacySetTimer, answer },
    Entry { extension: Extension::LegacyConsolePutchar, answer },
    Entry { extension: Extension::LegacyConsoleGetchar, answer },
    Entry { extension: Extension::LegacyClearIpi, answer },
    Entry { extension: Extension::LegacySendIpi, answer },
    Entry { extension: Extension::LegacyRemoteFenceI, answer },
    Entry { extension: Extension::LegacyRemoteSfenceVma, answer },
    Entry { extension: Extension::LegacyRemoteSfenceVmaAsid, answer },
    Entry { extension: Extension::LegacyShutdown, answer },
];

const DONE: Answer = Answer::Legacy(0);
const FAILED: Answer = Answer::Legacy(u64::MAX);

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, second, third, fourth, ..] = request.arguments;
    match request.extension {
        Extension::LegacySetTimer => {
            timer::set(request);
            DONE
        }
        Extension::LegacyConsolePutchar => {
            let [byte, ..] = first.to_le_bytes();
            if console::put(request, byte) { DONE } else { FAILED }
        }
        Extension::LegacyConsoleGetchar => match console::take(request) {
            Some(byte) => Answer::Legacy(byte.into()),
            None => FAILED,
        },
        Extension::LegacyClearIpi => {
            request.caller.siblings.set_software(request.caller.index, false);
            DONE
        }
        Extension::LegacySendIpi => on(first, |harts| ipi::send(request, harts)),
        Extension::LegacyRemoteFenceI => on(first, |harts| fences::on(request, harts, fences::INSTRUCTIONS)),
        Extension::LegacyRemoteSfenceVma => {
            on(first, |harts| fences::on(request, harts, fences::addresses(second, third)))
        }
        Extension::LegacyRemoteSfenceVmaAsid => match fences::addresses_of(fourth, second, third) {
            Some(fence) => on(first, |harts| fences::on(request, harts, fence)),
            None => FAILED,
        },
        Extension::LegacyShutdown => Answer::Gone(PowerRequest::SystemOff),
        _ => Answer::NOT_SUPPORTED,
    }
}

/// Does something to the harts of a mask that the guest has at a virtual address of its own. It is not read: the call
/// is for all harts, as it is where there is no mask. A hart that gets an interrupt or a fence too many loses nothing.
fn on(_mask: u64, act: impl FnOnce(Harts) -> Result<(), Error>) -> Answer {
    match act(Harts::All) {
        Ok(()) => DONE,
        Err(_) => FAILED,
    }
}
