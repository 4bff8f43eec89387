//! TIME (riscv-sbi-doc, chapter 6): the timer, for guests that don't set it themselves (Sstc).

use isa_firmware::sbi::{Extension, FirmwareEvent, time};

use super::{Answer, Entry, Request};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Time, answer }];

fn answer(request: &mut Request<'_>) -> Answer {
    if request.function != time::SET_TIMER {
        return Answer::NOT_SUPPORTED;
    }
    set(request);
    Answer::SUCCESS
}

/// Sets the timer to a0.
pub(super) fn set(request: &mut Request<'_>) {
    let [at, ..] = request.arguments;
    request.hart.set_timer(at);
    request.own.counters.count(FirmwareEvent::SetTimer);
}
