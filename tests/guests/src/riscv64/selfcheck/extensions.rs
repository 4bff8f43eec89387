//! Which extensions of the SBI there are: all that the hypervisor has but those that the boot argument `without=`
//! names, as in `xvisor,sbi-without`.

use isa_firmware::sbi::{Error, Extension, base, dbcn, hsm, ipi, pmu, rfence, srst, sta, susp, time};

use crate::arch::firmware::{call, ecall};
use crate::arch::power::own_id;
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

/// What a guest has to which nothing else was said.
const ALL: &[Extension] = &[
    Extension::Base,
    Extension::Time,
    Extension::Ipi,
    Extension::Rfence,
    Extension::Hsm,
    Extension::Srst,
    Extension::Pmu,
    Extension::Dbcn,
    Extension::Susp,
    Extension::Sta,
];

/// Stands for all extensions of version 0.1.
const LEGACY: &str = "legacy";

pub(super) fn run(report: &mut Report) {
    let without = machine().bootargs.split_whitespace().find_map(|word| word.strip_prefix("without="));
    let is_without = |name: &str| without.is_some_and(|names| names.split(',').any(|other| other == name));
    for extension in Extension::ALL.iter().copied() {
        let name = extension.name();
        let should = if extension.is_legacy() {
            !is_without(LEGACY)
        } else {
            ALL.contains(&extension) && !is_without(name)
        };
        let probed = call(Extension::Base, base::PROBE_EXTENSION, [extension.id().into(), 0, 0, 0]);
        report.equal(name, (probed.0, probed.1 != 0), (0, should));
        if let Some(error) = harmless(extension) {
            report.equal("  it answers as it should", error != Error::NotSupported as i64, should);
        }
    }
}

/// What a call returns that changes nothing; `None` where there is none.
fn harmless(extension: Extension) -> Option<i64> {
    let nobody = 0_u64;
    let nobody_at = &raw const nobody as usize as u64;
    let (function, arguments) = match extension {
        Extension::Base => (base::GET_SPEC_VERSION, [0; 4]),
        Extension::Time => (time::SET_TIMER, [u64::MAX, 0, 0, 0]),
        Extension::Ipi => (ipi::SEND_IPI, [0; 4]),
        Extension::Rfence => (rfence::FENCE_I, [0; 4]),
        Extension::Hsm => (hsm::HART_GET_STATUS, [own_id(), 0, 0, 0]),
        // Types that are reserved: refused.
        Extension::Srst => (srst::SYSTEM_RESET, [7, 0, 0, 0]),
        Extension::Susp => (susp::SYSTEM_SUSPEND, [7, 0, 0, 0]),
        Extension::Pmu => (pmu::NUM_COUNTERS, [0; 4]),
        Extension::Dbcn => (dbcn::WRITE, [0; 4]),
        Extension::Sta => (sta::SET_SHMEM, [u64::MAX, u64::MAX, 0, 0]),
        Extension::LegacySetTimer => (0, [u64::MAX, 0, 0, 0]),
        Extension::LegacyConsolePutchar => (0, [b'\r'.into(), 0, 0, 0]),
        Extension::LegacyConsoleGetchar | Extension::LegacyClearIpi => (0, [0; 4]),
        Extension::LegacySendIpi
        | Extension::LegacyRemoteFenceI
        | Extension::LegacyRemoteSfenceVma
        | Extension::LegacyRemoteSfenceVmaAsid => (0, [nobody_at, 0, 0, 0]),
        Extension::LegacyShutdown => return None,
        _ => (0, [0; 4]),
    };
    let [a, b, c, d] = arguments;
    let [error, _] = ecall(extension.id().into(), function.into(), [a, b, c, d, 0, 0]);
    Some(error as i64)
}
