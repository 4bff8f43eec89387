//! Firmware: PSCI (DEN0022), SMCCC (DEN0028), TRNG (DEN0098).

use isa_firmware::{psci, smccc, trng};

use crate::runtime::faults::attempt;
use crate::runtime::firmware::{self, NOT_SUPPORTED, call, status};
use crate::runtime::machine::machine;
use crate::runtime::registers::affinity;
use crate::selfcheck::Report;

const INVALID_PARAMETERS: i32 = psci::Status::InvalidParameters as i32;

pub(super) fn run(report: &mut Report) {
    psci(report);
    smccc(report);
    random(report);
}

fn psci(report: &mut Report) {
    report.equal("PSCI_VERSION is 1.1", status(psci::VERSION, [0; 3]), psci::VERSION_1_1 as i32);
    for (name, function) in [
        ("CPU_SUSPEND", psci::CPU_SUSPEND_64),
        ("CPU_OFF", psci::CPU_OFF),
        ("CPU_ON", psci::CPU_ON_64),
        ("AFFINITY_INFO", psci::AFFINITY_INFO_64),
        ("SYSTEM_OFF", psci::SYSTEM_OFF),
        ("SYSTEM_RESET", psci::SYSTEM_RESET),
        ("PSCI_FEATURES", psci::FEATURES),
    ] {
        if status(psci::FEATURES, [function.into(), 0, 0]) < 0 {
            report.check(name, false);
        }
    }
    report.check("PSCI_FEATURES knows all that is mandatory", report.failed == 0);
    let unknown = status(psci::FEATURES, [0x8400_0fff, 0, 0]);
    report.equal("PSCI_FEATURES of an unknown function", unknown, NOT_SUPPORTED);
    let own = status(psci::AFFINITY_INFO_64, [affinity(), 0, 0]);
    report.equal("AFFINITY_INFO: this CPU is on", own, psci::AffinityInfo::On as i32);
    let nobody = status(psci::AFFINITY_INFO_64, [0x12_0034_5678, 0, 0]);
    report.equal("AFFINITY_INFO of no CPU", nobody, INVALID_PARAMETERS);
    let nobody = status(psci::CPU_ON_64, [0x12_0034_5678, 0x4000_0000, 0]);
    report.equal("CPU_ON of no CPU", nobody, INVALID_PARAMETERS);
    let own = status(psci::CPU_ON_64, [affinity(), machine().image.start, 0]);
    report.equal("CPU_ON of this CPU", own, psci::Status::AlreadyOn as i32);
}

fn smccc(report: &mut Report) {
    let version = status(smccc::VERSION, [0; 3]);
    if version == NOT_SUPPORTED {
        report.skip("SMCCC 1.1 or later");
    } else {
        report.check("SMCCC_VERSION is at least 1.1", version >= smccc::VERSION_1_1 as i32);
    }
    for (what, function) in [
        ("an unknown function is NOT_SUPPORTED", 0x8400_ff77),
        ("an unknown function of an unknown owner is NOT_SUPPORTED", 0xb000_1234),
    ] {
        report.equal(what, call(function, [1, 2, 3])[0] as i32, NOT_SUPPORTED);
    }
    if !machine().hypervised {
        report.skip("the other conduit; immediates other than zero");
        return;
    }
    let x = [psci::VERSION.into(), 0, 0, 0];
    report.equal("PSCI_VERSION by HVC", firmware::hvc(x)[0], psci::VERSION_1_1.into());
    report.equal("PSCI_VERSION by SMC", firmware::smc(x)[0], psci::VERSION_1_1.into());
    let undefined = |result: Result<[u64; 4], crate::runtime::faults::Fault>| {
        result.is_err_and(|fault| fault.class() == 0)
    };
    report.check(
        "HVC with an unknown immediate is UNDEFINED",
        undefined(attempt(|| firmware::hvc_with_immediate(x))),
    );
    report.check(
        "SMC with an unknown immediate is UNDEFINED",
        undefined(attempt(|| firmware::smc_with_immediate(x))),
    );
}

fn random(report: &mut Report) {
    if status(trng::VERSION, [0; 3]) == NOT_SUPPORTED {
        report.skip("TRNG");
        return;
    }
    report.equal("TRNG_VERSION is 1.0", status(trng::VERSION, [0; 3]), trng::VERSION_1_0 as i32);
    report.equal("TRNG_FEATURES knows TRNG_RND", status(trng::FEATURES, [trng::RND_64.into(), 0, 0]), 0);
    let [result, high, middle, low] = call(trng::RND_64, [192, 0, 0]);
    let again = call(trng::RND_64, [192, 0, 0]);
    report.equal("TRNG_RND of 192 bits", result as i32, 0);
    report.check("TRNG_RND never gives the same twice", again != [result, high, middle, low]);
    report.check("TRNG_RND fills all words", high != 0 && middle != 0 && low != 0 && high != low);
    let [result, high, middle, low] = call(trng::RND_64, [5, 0, 0]);
    report.check("TRNG_RND of 5 bits gives no more", result == 0 && high == 0 && middle == 0 && low < 32);
    report.equal("TRNG_RND of 0 bits", status(trng::RND_64, [0; 3]), trng::Status::InvalidParameters as i32);
    report.equal(
        "TRNG_RND of 193 bits",
        status(trng::RND_64, [193, 0, 0]),
        trng::Status::InvalidParameters as i32,
    );
}
