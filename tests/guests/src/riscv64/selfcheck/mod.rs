//! What this architecture promises.

mod accesses;
mod calls;
mod counters;
mod devices;
mod extensions;
mod faults;
mod files;
mod isa;
mod lent;
mod plic;
mod time;
mod translated;
pub(crate) mod units;

use super::{irq, timer};
use crate::runtime::machine::machine;
use crate::selfcheck::{Report, smp};

/// The parts, in their order.
pub(crate) const PARTS: &[fn(&mut Report)] = &[
    calls::run,
    lent::run,
    faults::run,
    isa::run,
    accesses::run,
    translated::run,
    plic::run,
    files::run,
    time::run,
    counters::run,
    devices::rtc,
    units::run,
    smp::run,
    units::beside_others,
];

/// Of the firmware alone.
pub(crate) const FIRMWARE: &[fn(&mut Report)] = &[extensions::run];

/// Takes what an earlier check that failed has left behind, so that it fails alone.
pub(crate) fn quiet() {
    timer::stop();
    irq::forget();
    if let Some(plic) = machine().parts.plic {
        for _ in 0..8 {
            match plic.claim() {
                0 => break,
                source => plic.complete(source),
            }
        }
    }
}
