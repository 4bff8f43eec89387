//! What this architecture promises.

mod calls;
mod faults;
mod gic;
mod identity;
mod loopback;
mod rtc;
mod time;

use super::gic::Gic;
use crate::runtime::machine::machine;
use crate::selfcheck::{Report, smp};

/// The parts, in their order.
pub(crate) const PARTS: &[fn(&mut Report)] = &[
    calls::run,
    identity::run,
    faults::run,
    gic::run,
    time::virtual_timer,
    time::physical_timer,
    loopback::run,
    rtc::run,
    smp::run,
];

/// Of the firmware alone.
pub(crate) const FIRMWARE: &[fn(&mut Report)] = &[calls::run];

/// Takes and ends what an earlier check that failed has left behind, so that it fails alone.
pub(crate) fn quiet() {
    let gic: Gic = machine().parts.gic;
    for _ in 0..64 {
        let taken = gic.acknowledge();
        if taken & 0x3ff >= 1020 {
            break;
        }
        gic.end(taken);
    }
}
