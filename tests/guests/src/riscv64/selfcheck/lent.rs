//! Calls whose arguments or answers lie in memory: the hart masks of SBI 0.1, and where steal time is shown.

use core::cell::UnsafeCell;

use isa_firmware::sbi::{Error, Extension, sta};
use isa_rv::cause;

use crate::arch::firmware::{call, ecall};
use crate::arch::mmio::{load32, load64};
use crate::arch::power::own_id;
use crate::arch::registers::{SOFTWARE, clear_bits, get};
use crate::runtime::faults::{Fault, attempt};
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

/// Nothing lies here.
const NOTHING: u64 = 0x40_0000_0000;

pub(super) fn run(report: &mut Report) {
    if !machine().hypervised {
        report.skip("masks and answers in memory: firmware need not have these calls");
        return;
    }
    masks(report);
    steal_time(report);
}

/// An extension of version 0.1, with a mask at this address; the result.
fn legacy(extension: Extension, mask: u64) -> i64 {
    let [result, _] = ecall(extension.id().into(), 0, [mask, 0, 0, 0, 0, 0]);
    result as i64
}

fn masks(report: &mut Report) {
    let is_pending = || get!("sip") & SOFTWARE != 0;
    let send = |mask: &u64| legacy(Extension::LegacySendIpi, core::ptr::from_ref(mask).addr() as u64);
    let own = 1 << (own_id() & 63);
    clear_bits!("sip", SOFTWARE);
    report.equal("an IPI to a mask without this hart is sent", send(&0), 0);
    report.check("and does not come here", !is_pending());
    report.equal("an IPI to a mask with this hart is sent", send(&own), 0);
    report.check("and comes here", is_pending());
    clear_bits!("sip", SOFTWARE);
    report.equal("a mask at address 0 means all harts", legacy(Extension::LegacySendIpi, 0), 0);
    report.check("and so this one", is_pending());
    clear_bits!("sip", SOFTWARE);
    for extension in [
        Extension::LegacySendIpi,
        Extension::LegacyRemoteFenceI,
        Extension::LegacyRemoteSfenceVma,
        Extension::LegacyRemoteSfenceVmaAsid,
    ] {
        let told = attempt(|| legacy(extension, NOTHING)).err();
        let told = told.map(|Fault { cause, address }| (cause, address));
        report.equal(
            "a mask where nothing lies faults at the call",
            told,
            Some((cause::LOAD_ACCESS, NOTHING)),
        );
    }
    report.check("and nobody is interrupted", !is_pending());
}

/// As STA has it.
#[repr(C, align(64))]
struct Shared(UnsafeCell<[u64; sta::SIZE as usize / 8]>);

// SAFETY: one hart uses it, and the hypervisor.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(UnsafeCell::new([u64::MAX; sta::SIZE as usize / 8]));

fn steal_time(report: &mut Report) {
    let share = |at: u64, flags: u64| call(Extension::Sta, sta::SET_SHMEM, [at, 0, flags, 0]).0;
    let at = SHARED.0.get().addr() as u64;
    report.equal("steal time is shown where memory is", share(at, 0), 0);
    let sequence = load32(at + sta::SEQUENCE);
    report.check("with a sequence number that is even", sequence.is_multiple_of(2));
    report.check("and less than a minute of it", load64(at + sta::STEAL) < 60_000_000_000);
    report.equal("not at an odd place", share(at + 8, 0), Error::InvalidParam as i64);
    report.equal("nor with flags", share(at, 1), Error::InvalidParam as i64);
    report.equal("nor where nothing lies", share(NOTHING, 0), Error::InvalidAddress as i64);
    let ended = call(Extension::Sta, sta::SET_SHMEM, [u64::MAX, u64::MAX, 0, 0]).0;
    report.equal("and no more when that is asked for", ended, 0);
}
