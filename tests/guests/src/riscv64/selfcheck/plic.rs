//! The PLIC (riscv-plic-spec): priorities, enables, threshold, claim and completion, with the UART's transmit
//! interrupt as a source.

use isa_uart::{IER, ier};

use crate::arch::irq;
use crate::arch::mmio::{load32, store8};
use crate::arch::plic::Plic;
use crate::runtime::clock::within;
use crate::runtime::machine::machine;
use crate::runtime::registers::irq_waits;
use crate::selfcheck::Report;

/// The UART's source, as QEMU's virt board has it.
const SOURCE: u32 = 10;
const SECOND: u64 = 1_000_000_000;

pub(super) fn run(report: &mut Report) {
    let Some(plic) = machine().parts.plic else {
        report.skip("the PLIC");
        return;
    };
    let uart = machine().uart;
    report.equal("nothing waits at the beginning", (irq_waits(), plic.claim()), (false, 0));
    store8(uart + IER, ier::EMPTY);
    report.check("a source is pending", within(SECOND, || plic.is_pending(SOURCE)));
    report.check("and not signalled while disabled", !irq_waits());
    plic.set_enabled(SOURCE, true);
    report.check("nor with priority 0", !irq_waits());
    plic.set_priority(SOURCE, 3);
    report.check("enabled, and with a priority, it is", within(SECOND, irq_waits));
    threshold(report, plic);
    // What is said moves the wire: it is looked at before.
    let claimed = plic.claim();
    let then = (plic.is_pending(SOURCE), irq_waits());
    report.equal("it is claimed", claimed, SOURCE);
    report.equal("and is pending and signalled no more", then, (false, false));
    report.equal("there is nothing else to claim", plic.claim(), 0);
    plic.complete(claimed);
    report.check("a wire that stays up is signalled again after the end", within(SECOND, irq_waits));
    let claimed = plic.claim();
    store8(uart + IER, 0);
    plic.complete(claimed);
    report.equal("and not when it went down before", (claimed, irq_waits()), (SOURCE, false));
    plic.complete(SOURCE + 1);
    plic.complete(0);
    plic.complete(u32::MAX);
    report.check("ends of what was not claimed do nothing", !irq_waits());
    plic.set_enabled(SOURCE, false);
    plic.set_priority(SOURCE, 0);
    let nobody = plic.at + 4 * u64::from(plic.sources + 1);
    report.equal("a source that is not there has priority 0", load32(nobody), 0);
    irq::start();
}

fn threshold(report: &mut Report, plic: Plic) {
    plic.set_threshold(3);
    report.check("the threshold keeps it out", within(SECOND, || !irq_waits()));
    plic.set_threshold(2);
    report.check("and lets it in", within(SECOND, irq_waits));
    plic.set_threshold(0);
}
