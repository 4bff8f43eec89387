//! The interrupt controller: what is enabled, pending, active, and of which priority (IHI 0069, 4; IHI
//! 0048B, 3).

use crate::arch::gic::Gic;
use crate::runtime::machine::machine;
use crate::runtime::registers::{affinity, irq_waits};
use crate::selfcheck::Report;

/// Behind the interrupts of what these checks use: the UART and the clock.
const FIRST_FREE: u32 = 36;
/// No interrupt.
const SPURIOUS: u32 = 1023;

pub(super) fn run(report: &mut Report) {
    let gic = machine().parts.gic;
    report.equal("nothing waits at the beginning", (irq_waits(), gic.acknowledge()), (false, SPURIOUS));
    // No device has the last ones.
    let [spare, other] = [gic.interrupts() - 1, gic.interrupts() - 2];
    life_of_an_interrupt(report, gic, spare);
    again_while_active(report, gic, spare);
    priorities(report, gic, spare, other);
    sgis(report, gic);
}

fn life_of_an_interrupt(report: &mut Report, gic: Gic, spare: u32) {
    gic.set_edge(spare);
    gic.route(spare);
    gic.pend(spare);
    report.equal(
        "what is disabled can be pending",
        (gic.is_enabled(spare), gic.is_pending(spare)),
        (false, true),
    );
    report.check("what is disabled is not signalled", !irq_waits());
    gic.enable(spare);
    report.check("once enabled it is signalled", gic.is_enabled(spare) && irq_waits());
    gic.set_mask(0x10);
    report.check("the priority mask holds it back", !irq_waits());
    gic.set_mask(0xff);
    report.check("and lets it through", irq_waits());
    gic.disable(spare);
    report.check("disabled again it is not signalled", !gic.is_enabled(spare) && !irq_waits());
    gic.enable(spare);
    let taken = gic.acknowledge();
    report.equal("it is acknowledged", taken & 0x3ff, spare);
    report.equal("then active and not pending", (gic.is_active(spare), gic.is_pending(spare)), (true, false));
    report.equal("and nothing else waits", (irq_waits(), gic.acknowledge() & 0x3ff), (false, SPURIOUS));
    gic.end(taken);
    report.equal(
        "after its end it is neither",
        (gic.is_active(spare), gic.is_pending(spare)),
        (false, false),
    );
    gic.pend(spare);
    gic.unpend(spare);
    report.check("pending can be taken back", !gic.is_pending(spare) && !irq_waits());
}

fn again_while_active(report: &mut Report, gic: Gic, spare: u32) {
    gic.pend(spare);
    let taken = gic.acknowledge();
    gic.pend(spare);
    report.equal("it can be active and pending", (gic.is_active(spare), gic.is_pending(spare)), (true, true));
    report.check("what is active is not signalled again", !irq_waits());
    gic.end(taken);
    report.check("after its end it is", irq_waits());
    let taken = gic.acknowledge();
    report.equal("and is acknowledged a second time", taken & 0x3ff, spare);
    gic.end(taken);
    report.check("and not a third time", !irq_waits());
}

fn priorities(report: &mut Report, gic: Gic, spare: u32, other: u32) {
    gic.enable(other);
    gic.set_edge(other);
    gic.set_priority(spare, 0xa0);
    gic.set_priority(other, 0x40);
    gic.pend(spare);
    gic.pend(other);
    let first = gic.acknowledge();
    report.equal("the higher priority comes first", first & 0x3ff, other);
    report.check("the lower one does not interrupt it", !irq_waits());
    gic.end(first);
    let low = gic.acknowledge();
    report.equal("the lower one comes after its end", low & 0x3ff, spare);
    gic.pend(other);
    report.check("the higher one interrupts the lower", irq_waits());
    let high = gic.acknowledge();
    report.equal("and is acknowledged within it", high & 0x3ff, other);
    gic.end(high);
    report.equal(
        "the lower one is still active",
        (gic.is_active(other), gic.is_active(spare)),
        (false, true),
    );
    gic.end(low);
    report.equal("until its own end", (gic.is_active(spare), irq_waits()), (false, false));
    gic.disable(spare);
    gic.disable(other);
}

fn sgis(report: &mut Report, gic: Gic) {
    gic.send(3, affinity());
    report.check("an SGI to oneself is signalled", irq_waits());
    let taken = gic.acknowledge();
    report.equal("and acknowledged", taken & 0x3ff, 3);
    gic.end(taken);
    report.check("once", !irq_waits());
    for id in 0..16 {
        gic.send(id, affinity());
    }
    // Of one priority, the lowest number first is what both versions' implementations do; any order will do here.
    let mut seen = 0_u32;
    for _ in 0..16 {
        let taken = gic.acknowledge();
        if taken & 0x3ff < 16 {
            seen |= 1 << (taken & 0xf);
            gic.end(taken);
        }
    }
    report.equal("sixteen SGIs at once all arrive", (seen, irq_waits()), (0xffff, false));
    // More than there are list registers.
    let spis = FIRST_FREE.max(gic.interrupts() - 32)..gic.interrupts();
    for id in spis.clone() {
        gic.set_edge(id);
        gic.enable(id);
        gic.pend(id);
    }
    let mut seen = 0;
    for _ in spis.clone() {
        let taken = gic.acknowledge();
        if spis.contains(&(taken & 0x3ff)) {
            seen += 1;
            gic.end(taken);
        }
    }
    report.equal("many SPIs at once all arrive", (seen, irq_waits()), (spis.len(), false));
    for id in spis {
        gic.disable(id);
    }
}
