//! The interrupt controller: what is enabled, pending, active, and of which priority (IHI 0069, 4; IHI
//! 0048B, 3).

use super::Report;
use crate::runtime::gic::Gic;
use crate::runtime::machine::machine;
use crate::runtime::registers::{affinity, irq_waits};

/// No device of these machines has this interrupt.
const SPARE: u32 = 100;
/// Another one.
const OTHER: u32 = 101;
/// No interrupt.
const SPURIOUS: u32 = 1023;

pub(super) fn run(report: &mut Report) {
    let gic = machine().gic;
    report.equal("nothing waits at the beginning", (irq_waits(), gic.acknowledge()), (false, SPURIOUS));
    life_of_an_interrupt(report, gic);
    again_while_active(report, gic);
    priorities(report, gic);
    sgis(report, gic);
}

fn life_of_an_interrupt(report: &mut Report, gic: Gic) {
    gic.set_edge(SPARE);
    gic.route(SPARE);
    gic.pend(SPARE);
    report.equal(
        "what is disabled can be pending",
        (gic.is_enabled(SPARE), gic.is_pending(SPARE)),
        (false, true),
    );
    report.check("what is disabled is not signalled", !irq_waits());
    gic.enable(SPARE);
    report.check("once enabled it is signalled", gic.is_enabled(SPARE) && irq_waits());
    gic.set_mask(0x10);
    report.check("the priority mask holds it back", !irq_waits());
    gic.set_mask(0xff);
    report.check("and lets it through", irq_waits());
    gic.disable(SPARE);
    report.check("disabled again it is not signalled", !gic.is_enabled(SPARE) && !irq_waits());
    gic.enable(SPARE);
    let taken = gic.acknowledge();
    report.equal("it is acknowledged", taken & 0x3ff, SPARE);
    report.equal("then active and not pending", (gic.is_active(SPARE), gic.is_pending(SPARE)), (true, false));
    report.equal("and nothing else waits", (irq_waits(), gic.acknowledge() & 0x3ff), (false, SPURIOUS));
    gic.end(taken);
    report.equal(
        "after its end it is neither",
        (gic.is_active(SPARE), gic.is_pending(SPARE)),
        (false, false),
    );
    gic.pend(SPARE);
    gic.unpend(SPARE);
    report.check("pending can be taken back", !gic.is_pending(SPARE) && !irq_waits());
}

fn again_while_active(report: &mut Report, gic: Gic) {
    gic.pend(SPARE);
    let taken = gic.acknowledge();
    gic.pend(SPARE);
    report.equal("it can be active and pending", (gic.is_active(SPARE), gic.is_pending(SPARE)), (true, true));
    report.check("what is active is not signalled again", !irq_waits());
    gic.end(taken);
    report.check("after its end it is", irq_waits());
    let taken = gic.acknowledge();
    report.equal("and is acknowledged a second time", taken & 0x3ff, SPARE);
    gic.end(taken);
    report.check("and not a third time", !irq_waits());
}

fn priorities(report: &mut Report, gic: Gic) {
    gic.enable(OTHER);
    gic.set_edge(OTHER);
    gic.set_priority(SPARE, 0xa0);
    gic.set_priority(OTHER, 0x40);
    gic.pend(SPARE);
    gic.pend(OTHER);
    let first = gic.acknowledge();
    report.equal("the higher priority comes first", first & 0x3ff, OTHER);
    report.check("the lower one does not interrupt it", !irq_waits());
    gic.end(first);
    let low = gic.acknowledge();
    report.equal("the lower one comes after its end", low & 0x3ff, SPARE);
    gic.pend(OTHER);
    report.check("the higher one interrupts the lower", irq_waits());
    let high = gic.acknowledge();
    report.equal("and is acknowledged within it", high & 0x3ff, OTHER);
    gic.end(high);
    report.equal(
        "the lower one is still active",
        (gic.is_active(OTHER), gic.is_active(SPARE)),
        (false, true),
    );
    gic.end(low);
    report.equal("until its own end", (gic.is_active(SPARE), irq_waits()), (false, false));
    gic.disable(SPARE);
    gic.disable(OTHER);
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
    for id in 64..96 {
        gic.set_edge(id);
        gic.enable(id);
        gic.pend(id);
    }
    let mut seen = 0_u32;
    for _ in 64..96 {
        let taken = gic.acknowledge();
        if (64..96).contains(&(taken & 0x3ff)) {
            seen |= 1 << (taken & 0x1f);
            gic.end(taken);
        }
    }
    report.equal("thirty-two SPIs at once all arrive", (seen, irq_waits()), (!0, false));
    for id in 64..96 {
        gic.disable(id);
    }
}
