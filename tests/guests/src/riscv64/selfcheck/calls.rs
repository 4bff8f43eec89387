//! Firmware: SBI 2.0.

use isa_firmware::sbi::{Error, Extension, base, dbcn, hsm, ipi, time};

use crate::arch::firmware::{call, ecall};
use crate::arch::power::own_id;
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

const NOT_SUPPORTED: i64 = Error::NotSupported as i64;
const INVALID_PARAM: i64 = Error::InvalidParam as i64;

pub(super) fn run(report: &mut Report) {
    let (error, version) = call(Extension::Base, base::GET_SPEC_VERSION, [0; 4]);
    report.check("the SBI is of version 1.0 at least", error == 0 && version >= 1 << 24);
    if machine().hypervised {
        report.equal("the hypervisor's is 2.0", version, 2 << 24);
    } else {
        report.skip("the hypervisor's version");
    }
    for extension in [
        Extension::Base,
        Extension::Time,
        Extension::Ipi,
        Extension::Rfence,
        Extension::Hsm,
        Extension::Srst,
        Extension::Dbcn,
    ] {
        let found = call(Extension::Base, base::PROBE_EXTENSION, [extension.id().into(), 0, 0, 0]);
        report.check(extension.name(), found.0 == 0 && found.1 != 0);
    }
    let probed = call(Extension::Base, base::PROBE_EXTENSION, [0x0abc_def0, 0, 0, 0]);
    report.equal("an unknown extension is not found", probed, (0, 0));
    let [error, _] = ecall(0x0abc_def0, 3, [1, 2, 3, 4, 5, 6]);
    report.equal("and not supported", error as i64, NOT_SUPPORTED);
    for (name, extension, function) in [
        ("nor is an unknown function of BASE", Extension::Base, 77),
        ("nor of TIME", Extension::Time, time::SET_TIMER + 1),
        ("nor of IPI", Extension::Ipi, ipi::SEND_IPI + 1),
        ("nor of HSM", Extension::Hsm, 99),
        ("nor of DBCN", Extension::Dbcn, 3),
    ] {
        report.equal(name, call(extension, function, [0; 4]).0, NOT_SUPPORTED);
    }
    harts(report);
    let nobody = call(Extension::Ipi, ipi::SEND_IPI, [1, 0x1234, 0, 0]).0;
    report.equal("an IPI to no hart is an invalid parameter", nobody, INVALID_PARAM);
    let text = b"DBCN writes this\r\n";
    let written =
        call(Extension::Dbcn, dbcn::WRITE, [text.len() as u64, text.as_ptr() as usize as u64, 0, 0]);
    report.equal("DBCN writes what is in memory", written, (0, text.len() as u64));
    let wild = call(Extension::Dbcn, dbcn::WRITE, [8, 0x4000_0000, 1, 0]).0;
    report.check("and nothing that is not", wild < 0);
    // Registers that a call may not touch.
    let survived: u64;
    // SAFETY: BASE changes nothing.
    unsafe {
        core::arch::asm!(
            "li t0, 0x5a5a", "li a2, 0x15", "li a5, 0x1a5", "ecall", "sub t0, t0, a2", "sub {0}, t0, a5",
            out(reg) survived, inout("a0") 0_u64 => _, out("a1") _, out("a2") _, out("a5") _, out("t0") _,
            in("a6") 0, in("a7") 0x10,
        );
    }
    report.equal("a call leaves all registers but a0 and a1", survived, 0x5a5a - 0x15 - 0x1a5);
}

fn harts(report: &mut Report) {
    let status = |hart: u64| call(Extension::Hsm, hsm::HART_GET_STATUS, [hart, 0, 0, 0]);
    report.equal("this hart is started", status(own_id()), (0, 0));
    report.equal("there is no hart 4660", status(0x1234).0, INVALID_PARAM);
    let entry = machine().image.start;
    let again = call(Extension::Hsm, hsm::HART_START, [own_id(), entry, 0, 0]).0;
    report.equal("this hart can't be started again", again, Error::AlreadyAvailable as i64);
    let nobody = call(Extension::Hsm, hsm::HART_START, [0x1234, entry, 0, 0]).0;
    report.equal("nor one that is not there", nobody, INVALID_PARAM);
}
