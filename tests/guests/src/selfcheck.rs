//! Checks that the machine is what the manuals say: each line is `PASS what`, `FAIL what`, or `SKIP what`
//! where this machine has no such thing; at the end `SELFCHECK done: P passed, F failed, S skipped`.
//!
//! Interrupts stay masked: what would be signalled can be read. That makes each step a plain statement.

pub(crate) mod smp;

use core::fmt::Debug;

use crate::arch::{irq, selfcheck};
use crate::runtime::machine::machine;
use crate::runtime::{firmware, say};

/// Counts what came out.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) skipped: u32,
}

impl Report {
    /// One statement and whether it is true.
    pub(crate) fn check(&mut self, what: &str, is_so: bool) {
        if is_so {
            self.passed += 1;
            say!("PASS {what}");
        } else {
            self.failed += 1;
            say!("FAIL {what}");
        }
    }

    /// One value and what it should be.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, what: &str, is: T, should: T) {
        let is_so = is == should;
        self.check(what, is_so);
        if !is_so {
            say!("     it is {is:x?}, and should be {should:x?}");
        }
    }

    /// There is no such thing here.
    pub(crate) fn skip(&mut self, what: &str) {
        self.skipped += 1;
        say!("SKIP {what}");
    }
}

/// Runs these parts; powers off.
pub(crate) fn run(parts: &[fn(&mut Report)]) -> ! {
    say!("SELFCHECK {}", if machine().hypervised { "under a hypervisor" } else { "on the bare machine" });
    irq::start();
    let mut report = Report::default();
    for part in parts {
        part(&mut report);
        selfcheck::quiet();
    }
    let Report { passed, failed, skipped } = report;
    say!("SELFCHECK done: {passed} passed, {failed} failed, {skipped} skipped");
    firmware::off()
}
