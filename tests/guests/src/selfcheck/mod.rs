//! Checks that the machine is what the manuals say: each line is `PASS what`, `FAIL what`, or `SKIP what`
//! where this machine has no such thing; at the end `SELFCHECK done: P passed, F failed, S skipped`.
//!
//! Interrupts stay masked: ISR_EL1 tells what would be signalled. That makes each step a plain statement.

mod calls;
mod faults;
mod gic;
mod identity;
mod loopback;
mod rtc;
mod smp;
mod time;

use core::fmt::Debug;

use crate::runtime::gic::Gic;
use crate::runtime::machine::machine;
use crate::runtime::{firmware, say};

/// Counts what came out.
#[derive(Default)]
struct Report {
    passed: u32,
    failed: u32,
    skipped: u32,
}

impl Report {
    /// One statement and whether it is true.
    fn check(&mut self, what: &str, is_so: bool) {
        if is_so {
            self.passed += 1;
            say!("PASS {what}");
        } else {
            self.failed += 1;
            say!("FAIL {what}");
        }
    }

    /// One value and what it should be.
    fn equal<T: PartialEq + Debug>(&mut self, what: &str, is: T, should: T) {
        let is_so = is == should;
        self.check(what, is_so);
        if !is_so {
            say!("     it is {is:x?}, and should be {should:x?}");
        }
    }

    /// There is no such thing here.
    fn skip(&mut self, what: &str) {
        self.skipped += 1;
        say!("SKIP {what}");
    }
}

/// Takes and ends what an earlier check that failed has left behind, so that it fails alone.
fn quiet(gic: Gic) {
    for _ in 0..64 {
        let taken = gic.acknowledge();
        if taken & 0x3ff >= 1020 {
            break;
        }
        gic.end(taken);
    }
}

/// Runs all; powers off.
pub(crate) fn run() -> ! {
    let machine = machine();
    say!("SELFCHECK {}", if machine.hypervised { "under a hypervisor" } else { "on the bare machine" });
    machine.gic.start();
    machine.gic.start_cpu();
    let mut report = Report::default();
    for part in [
        calls::run,
        identity::run,
        faults::run,
        gic::run,
        time::virtual_timer,
        time::physical_timer,
        loopback::run,
        rtc::run,
        smp::run,
    ] {
        part(&mut report);
        quiet(machine.gic);
    }
    let Report { passed, failed, skipped } = report;
    say!("SELFCHECK done: {passed} passed, {failed} failed, {skipped} skipped");
    firmware::off()
}
