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
            Answer::Send(byte)
        }
        Extension::LegacyConsoleGetchar => match console::take(request) {
            Some(byte) => Answer::Legacy(byte.into()),
            None => FAILED,
        },
        Extension::LegacyClearIpi => {
            request.caller.siblings.set_software(request.caller.index, false);
            DONE
        }
        Extension::LegacySendIpi => on(request, first, ipi::send),
        Extension::LegacyRemoteFenceI => fence(request, first, Ok(fences::INSTRUCTIONS)),
        Extension::LegacyRemoteSfenceVma => fence(request, first, fences::addresses(second, third)),
        Extension::LegacyRemoteSfenceVmaAsid => {
            fence(request, first, fences::addresses_of(fourth, second, third))
        }
        Extension::LegacyShutdown => Answer::Gone(PowerRequest::SystemOff),
        _ => Answer::NOT_SUPPORTED,
    }
}

/// A fence on the harts of a mask, if there is such a fence.
fn fence(request: &mut Request<'_>, mask: u64, fence: Result<fences::Fence, Error>) -> Answer {
    match fence {
        Ok(fence) => on(request, mask, |request, harts| fences::on(request, harts, fence)),
        Err(_) => FAILED,
    }
}

/// Does something to the harts of a mask that the guest has at a virtual address of its own, a bit for each hart; to
/// all of them where there is no mask. A fault on the way there is the guest's, at its call.
fn on(
    request: &mut Request<'_>,
    mask: u64,
    mut act: impl FnMut(&mut Request<'_>, Harts) -> Result<(), Error>,
) -> Answer {
    let mut result = Ok(());
    if mask == 0 {
        result = act(request, Harts::All);
    } else {
        let siblings = request.caller.siblings;
        let bases = (0..).map_while(|index| Some(siblings.hardware_id(index)? & !63));
        let mut last = None;
        // They ascend, usually. What is done twice because they don't, does no harm.
        for base in bases.filter(|base| last.replace(*base) != Some(*base)) {
            let at = mask.wrapping_add(base / 8);
            let Some(word) = request.hart.read_virtual(request.caller.space, at) else {
                return Answer::Fault;
            };
            // The mask is as long as whole registers are: there is not a hart for every bit.
            let mask = word & there_are(request, base);
            result = result.and_then(|()| act(request, Harts::Some { mask, base }));
        }
    }
    if result.is_ok() { DONE } else { FAILED }
}

/// The harts that exist, from `base` on, a bit for each.
fn there_are(request: &Request<'_>, base: u64) -> u64 {
    let siblings = request.caller.siblings;
    let harts = (0..).map_while(|index| siblings.hardware_id(index));
    harts.filter(|id| id & !63 == base).map(|id| 1 << (id & 63)).fold(0, |all, bit| all | bit)
}
