//! BASE (riscv-sbi-doc, chapter 4): what there is.

use arch::{Boot, Machine};
use isa_firmware::sbi::{Extension, VERSION_2_0, base};

use super::{Answer, Entry, Request, low};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Base, answer }];

/// The version of this hypervisor, 0.1: major in the upper half, minor in the lower.
const VERSION: u64 = 1;

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, ..] = request.arguments;
    Answer::value(match request.function {
        base::GET_SPEC_VERSION => VERSION_2_0,
        base::GET_IMPL_ID => base::IMPL_XVISOR,
        base::GET_IMPL_VERSION => VERSION,
        base::PROBE_EXTENSION => {
            let extension = Extension::decode(low(first));
            extension.is_some_and(|extension| request.caller.buses.firmware.has(extension)).into()
        }
        // Workarounds for the processor depend on them, so they are the host's.
        base::GET_MVENDORID | base::GET_MARCHID | base::GET_MIMPID => host(request.function),
        _ => return Answer::NOT_SUPPORTED,
    })
}

/// What the host's firmware answers; 0, which stands for nothing, where there is none.
fn host(function: u32) -> u64 {
    let call = [0, 0, 0, 0, 0, 0, function.into(), Extension::Base.id().into()];
    match Machine::call_firmware(call) {
        Some([0, value, ..]) => value,
        _ => 0,
    }
}
