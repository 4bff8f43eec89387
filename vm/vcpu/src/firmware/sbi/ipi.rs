//! IPI (riscv-sbi-doc, chapter 7): interrupts between harts.

use isa_firmware::sbi::{Error, Extension, FirmwareEvent, Harts, ipi};

use super::{Answer, Entry, Request};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Ipi, answer }];

fn answer(request: &mut Request<'_>) -> Answer {
    if request.function != ipi::SEND_IPI {
        return Answer::NOT_SUPPORTED;
    }
    let [mask, base, ..] = request.arguments;
    match send(request, Harts::new(mask, base)) {
        Ok(()) => Answer::SUCCESS,
        Err(error) => Answer::error(error),
    }
}

/// Raises the software interrupt of harts.
pub(super) fn send(request: &mut Request<'_>, harts: Harts) -> Result<(), Error> {
    let siblings = request.caller.siblings;
    request.for_each(harts, |index| siblings.set_software(index, true))?;
    request.own.counters.count(FirmwareEvent::IpiSent);
    Ok(())
}
