//! The hart's interrupt file (AIA 1.0, chapter 3): messages, enables, threshold, claims.

use isa_aia::imsic::{DELIVER, SETEIPNUM_LE, select};
use isa_rv::cause;

use super::faults::program;
use crate::arch::imsic::{claim, next, read, write};
use crate::arch::irq;
use crate::arch::mmio::{load32, store8};
use crate::arch::power::own_id;
use crate::runtime::faults::attempt;
use crate::runtime::machine::machine;
use crate::runtime::registers::irq_waits;
use crate::selfcheck::Report;

pub(super) fn run(report: &mut Report) {
    let Some(imsic) = machine().parts.imsic else {
        report.skip("the interrupt file");
        return;
    };
    let page = imsic.page(own_id());
    let send = |identity| imsic.send(own_id(), identity);
    report.equal("no message is there at the beginning", (irq_waits(), next()), (false, 0));
    send(9);
    report.equal("a message is signalled", (irq_waits(), next()), (true, 9));
    send(70);
    send(5);
    report.equal("the lowest identity comes first", [claim(), claim(), claim(), claim()], [5, 9, 70, 0]);
    report.check("and then nothing is signalled", !irq_waits());
    for nobody in [0, imsic.highest + 1, 2047, u32::MAX] {
        send(nobody);
    }
    report.equal("identities that do not exist do not come", (irq_waits(), claim()), (false, 0));
    report.equal("the page reads as zero", load32(page + SETEIPNUM_LE), 0);
    let told = attempt(|| store8(page, 1)).err().map(|fault| fault.cause);
    report.equal("a byte is no message", told, Some(cause::STORE_ACCESS));

    write(select::EIE0, !(1 << 20));
    send(20);
    report.equal("what is not enabled waits", (irq_waits(), next()), (false, 0));
    report.equal("and is pending", read(select::EIP0), 1 << 20);
    write(select::EIE0, u64::MAX);
    report.equal("until it is", (irq_waits(), next()), (true, 20));
    write(select::EITHRESHOLD, 20);
    report.equal("the threshold keeps it out", (irq_waits(), next()), (false, 0));
    write(select::EITHRESHOLD, 21);
    report.equal("or lets it in", (irq_waits(), next()), (true, 20));
    write(select::EITHRESHOLD, 0);
    write(select::EIDELIVERY, 0);
    report.check("a file that does not deliver signals nothing", !irq_waits());
    write(select::EIDELIVERY, DELIVER);
    report.check("and does again when it delivers", irq_waits());
    write(select::EIP0, 0);
    report.equal("it can be taken back", (irq_waits(), claim()), (false, 0));
    report.equal("identity 0 can't be enabled", read(select::EIE0), u64::MAX - 1);
    // User mode has interrupts on.
    write(select::EIDELIVERY, 0);
    send(33);
    report.equal("a program can't take an interrupt", program!("csrrw t0, 0x15c, zero"), cause::ILLEGAL);
    report.equal("nor read its file", program!("csrr t0, 0x151"), cause::ILLEGAL);
    report.equal("it is there still", claim(), 33);
    irq::start();
}
