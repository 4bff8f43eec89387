//! SRST (riscv-sbi-doc, chapter 10): switch off and reset.

use isa_firmware::sbi::{Extension, srst};

use super::{Answer, Entry, Request, low};
use crate::PowerRequest;

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Srst, answer }];

fn answer(request: &mut Request<'_>) -> Answer {
    let [kind, reason, ..] = request.arguments;
    if request.function != srst::SYSTEM_RESET {
        return Answer::NOT_SUPPORTED;
    }
    match low(reason) {
        srst::NO_REASON | srst::SYSTEM_FAILURE => {}
        own if own >= srst::FIRST_OWN_REASON => {}
        _ => return Answer::INVALID,
    }
    match low(kind) {
        srst::SHUTDOWN => Answer::Gone(PowerRequest::SystemOff),
        srst::COLD_REBOOT | srst::WARM_REBOOT => Answer::Gone(PowerRequest::SystemReset),
        // Reserved; or a platform's own, of which there are none (Table 19).
        _ => Answer::INVALID,
    }
}
