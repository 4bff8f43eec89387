//! The generic timer and its interrupts (DDI 0487, D12.2).

use isa_firmware::psci;

use crate::runtime::clock::{ticks, within};
use crate::runtime::faults::attempt;
use crate::runtime::machine::machine;
use crate::runtime::registers::{get, irq_waits, mask, set, unmask, wfi};
use crate::runtime::timer::{self, ENABLE, IMASK, ISTATUS, PHYSICAL_ID, VIRTUAL_ID, now};
use crate::runtime::{firmware, interrupts};
use crate::selfcheck::Report;

const MILLISECOND: u64 = 1_000_000;
/// What must come is waited for so long: QEMU itself sees timers late on a busy machine. (And QEMU's GICv2 looks
/// at a line that stayed up while its interrupt was ended at the next interrupt of whatever kind only.)
const SECOND: u64 = 1_000 * MILLISECOND;

pub(super) fn virtual_timer(report: &mut Report) {
    let gic = machine().parts.gic;
    let begun = now();
    report.check("the counter counts", within(SECOND, || now() > begun));
    gic.enable(VIRTUAL_ID);
    virtual_line(report);
    taken(report);
}

/// The interrupt follows the timer's condition, and its mask.
fn virtual_line(report: &mut Report) {
    let gic = machine().parts.gic;
    timer::arm(now() + ticks(100 * SECOND));
    report.equal("a timer of the future is quiet", (get!("cntv_ctl_el0"), irq_waits()), (ENABLE, false));
    timer::arm(now());
    let fired = within(SECOND, || get!("cntv_ctl_el0") & ISTATUS != 0);
    report.check("a timer of the past has its condition met", fired);
    report.check("and its interrupt is pending", within(SECOND, || gic.is_pending(VIRTUAL_ID)));
    report.check("and signalled", within(SECOND, irq_waits));
    set!("cntv_ctl_el0", ENABLE | IMASK);
    report.check("masked in the timer, it is not pending", within(SECOND, || !gic.is_pending(VIRTUAL_ID)));
    report.check("and not signalled", within(SECOND, || !irq_waits()));
    report.equal("though the condition is met", get!("cntv_ctl_el0"), ENABLE | IMASK | ISTATUS);
    set!("cntv_ctl_el0", ENABLE);
    report.check("unmasked, it is signalled again", within(SECOND, irq_waits));
    let first = gic.acknowledge();
    gic.end(first);
    report.equal("acknowledged", first & 0x3ff, VIRTUAL_ID);
    report.check("a line that stays up is signalled again after the end", within(SECOND, irq_waits));
    let second = gic.acknowledge();
    timer::stop();
    gic.end(second);
    report.check("and not when it went down before", second & 0x3ff == VIRTUAL_ID && !irq_waits());
    let before = now();
    set!("cntv_tval_el0", ticks(MILLISECOND));
    let set = before..=now();
    report.check(
        "TVAL counts from now",
        set.contains(&get!("cntv_cval_el0").wrapping_sub(ticks(MILLISECOND)))
            && get!("cntv_tval_el0") as i32 as i64 <= ticks(MILLISECOND) as i64,
    );
}

/// By way of the vector, and out of WFI.
fn taken(report: &mut Report) {
    let at = now() + ticks(2 * MILLISECOND);
    let before = interrupts::count();
    timer::arm(at);
    while interrupts::count() == before && now() < at + ticks(SECOND) {
        // Masked: one that comes before the wait has to end it.
        wfi();
        unmask();
        mask();
    }
    let (id, entered) = interrupts::last();
    report.equal("the timer interrupts WFI", (id, interrupts::count() - before), (VIRTUAL_ID, 1));
    report.check("not before its time", entered >= at);
    report.check("and not a second later", entered < at + ticks(SECOND));
    let at = now() + ticks(MILLISECOND);
    timer::arm(at);
    while now() < at {
        wfi();
    }
    report
        .check("a masked interrupt ends WFI", interrupts::count() - before == 1 && within(SECOND, irq_waits));
    let suspended = now();
    let status = firmware::status(psci::CPU_SUSPEND_64, [0; 3]);
    report.check(
        "nor does CPU_SUSPEND wait then",
        status == psci::Status::Success as i32 && now() < suspended + ticks(SECOND),
    );
    timer::stop();
    report.check(
        "and is gone when the timer is stopped",
        within(SECOND, || !machine().parts.gic.is_pending(VIRTUAL_ID)) && !irq_waits(),
    );
    let at = now() + ticks(2 * MILLISECOND);
    timer::arm(at);
    while !irq_waits() && now() < at + ticks(SECOND) {
        firmware::call(psci::CPU_SUSPEND_64, [0; 3]);
    }
    report.check("the timer ends CPU_SUSPEND", now() >= at && now() < at + ticks(SECOND));
    timer::stop();
}

pub(super) fn physical_timer(report: &mut Report) {
    if attempt(|| get!("cntp_ctl_el0")).is_err() {
        report.skip("the physical timer");
        return;
    }
    let gic = machine().parts.gic;
    gic.enable(PHYSICAL_ID);
    set!("cntp_tval_el0", ticks(MILLISECOND));
    set!("cntp_ctl_el0", ENABLE);
    report.check("the physical timer is signalled", within(SECOND, irq_waits));
    let taken = gic.acknowledge();
    timer::stop_physical();
    gic.end(taken);
    report.equal("as its own interrupt, once", (taken & 0x3ff, irq_waits()), (PHYSICAL_ID, false));
    gic.disable(PHYSICAL_ID);
}
