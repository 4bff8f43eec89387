//! The PL011 (DDI 0183): it is told to hear itself.

use crate::arch::uart::{CR, DR, ENABLED, FR, LCRH, RXFE};
use crate::runtime::clock::within;
use crate::runtime::machine::machine;
use crate::runtime::mmio::{load32, store32};
use crate::runtime::print;
use crate::runtime::registers::irq_waits;
use crate::selfcheck::Report;

/// Interrupt mask, raw status, masked status, clear.
const IMSC: u64 = 0x38;
const RIS: u64 = 0x3c;
const MIS: u64 = 0x40;
const ICR: u64 = 0x44;
/// Receive, in these.
const RECEIVE: u32 = 1 << 4;
/// Transmit.
const TRANSMIT: u32 = 1 << 5;
/// LBE, in CR.
const LOOPBACK: u32 = 1 << 7;
const SECOND: u64 = 1_000_000_000;
/// A character that does no harm where it is seen as well.
const SENT: u32 = 0x0d;
/// SPI 1
const INTERRUPT: u32 = 33;

pub(super) fn run(report: &mut Report) {
    let gic = machine().parts.gic;
    let register = |offset| machine().uart + offset;
    let identity = [0xfe0, 0xfe4, 0xff0, 0xff4, 0xff8, 0xffc].map(|offset| load32(register(offset)));
    report.equal("the UART says that it is a PL011", identity, [0x11, 0x10, 0x0d, 0xf0, 0x05, 0xb1]);

    // While it hears itself nothing can be said.
    while load32(register(FR)) & RXFE == 0 {
        load32(register(DR));
    }
    gic.enable(INTERRUPT);
    store32(register(IMSC), 0);
    store32(register(ICR), 0x7ff);
    store32(register(LCRH), 0x60);
    store32(register(CR), ENABLED | LOOPBACK);
    let quiet = !irq_waits();
    store32(register(IMSC), RECEIVE);
    store32(register(DR), SENT);
    let heard = within(SECOND, || load32(register(FR)) & RXFE == 0);
    let raised = within(SECOND, || load32(register(MIS)) & RECEIVE != 0);
    let signalled = within(SECOND, irq_waits);
    let taken = gic.acknowledge();
    let byte = load32(register(DR));
    let lowered = load32(register(RIS)) & RECEIVE == 0;
    if taken & 0x3ff == INTERRUPT {
        gic.end(taken);
    }
    let once = !irq_waits();
    store32(register(IMSC), 0);
    store32(register(CR), ENABLED);
    print::revive();

    if heard {
        report.check("the UART is quiet at first", quiet);
        report.equal("it hears what it sends", byte, SENT);
        report.check("it raises its receive interrupt", raised && signalled);
        report.equal("which is acknowledged", taken & 0x3ff, INTERRUPT);
        report.check("and lowered by reading", lowered && once);
    } else {
        report.skip("the UART's loopback");
    }

    store32(register(IMSC), TRANSMIT);
    store32(register(DR), u32::from(b'\r'));
    let raised = within(SECOND, || load32(register(MIS)) & TRANSMIT != 0) && within(SECOND, irq_waits);
    store32(register(ICR), TRANSMIT);
    let lowered = within(SECOND, || !irq_waits());
    store32(register(IMSC), 0);
    gic.disable(INTERRUPT);
    report.check("the UART's transmit interrupt comes", raised);
    report.check("and is cleared", lowered);
}
