//! Firmware calls that a guest makes, by HVC or SMC alike: SMCCC 1.1 (DEN0028), PSCI 1.1 (DEN0022), TRNG
//! 1.0 (DEN0098). What is not known is answered NOT_SUPPORTED, as the convention says.

use core::ops::ControlFlow::{self, Break, Continue};

use addr::Gpa;
use arch::{Call, Clock, Conduit, GuestCpu, GuestFault, Machine, PowerOn};
use isa_firmware::psci::{self, AffinityInfo, PowerState, Status};
use isa_firmware::smccc::{self, FunctionId};
use isa_firmware::{Function, pv_time, trng};

use super::sbi::Own;
use super::{Caller, CpuState, PowerError, Siblings};
use crate::{PowerRequest, Stop, entropy};

/// The result of one call.
enum Answer {
    /// X0 alone.
    One(u64),
    /// X0 alone: where the CPU finds how much time was taken from it.
    Place(Gpa),
    /// X0 to X3.
    Four([u64; 4]),
    /// The CPU stops; if it ever goes on, it finds success.
    Stop(Stop),
    /// The CPU stops and the guest's registers are left as they are.
    Gone(PowerRequest),
}

/// Whether a call asks for the version of PSCI: the shortest there is, for which nothing need be known of who calls.
#[inline(always)]
pub(crate) fn is_version(call: &Call) -> bool {
    // The identifier is in W0.
    call.function & 0xffff_ffff == psci::VERSION.into()
        && call.immediate == 0
        && call.conduit != Conduit::Environment
}

/// Answers it.
#[inline(always)]
pub(crate) fn answer_version<C: GuestCpu>(cpu: &mut C, call: Call) {
    cpu.answer_call(call, [psci::VERSION_1_1.into()]);
}

/// Answers a call.
#[inline(never)]
pub(crate) fn call<C: GuestCpu>(
    cpu: &mut C,
    call: Call,
    caller: &Caller<'_>,
    own: &mut Own,
) -> ControlFlow<Stop> {
    if is_version(&call) {
        answer_version(cpu, call);
        return Continue(());
    }
    if call.immediate != 0 {
        // Nobody defines such calls (DEN0028, 2.9: the immediate must be zero).
        let what = format_args!("calls the hypervisor with immediate {:#x}", call.immediate);
        caller.buses.complain(Machine::now(), caller.index, what);
        // No register changes.
        cpu.answer_call(call, []);
        cpu.inject(GuestFault::Undefined);
        return Continue(());
    }
    let answer = answer(cpu.arguments(), caller.siblings, caller.index);
    match answer {
        Answer::One(result) => cpu.answer_call(call, [result]),
        Answer::Place(at) => {
            // From now on it is told, and not before: each store there costs a switch.
            own.asked_for_stolen_time = true;
            cpu.answer_call(call, [at.get()]);
        }
        Answer::Four(results) => cpu.answer_call(call, results),
        Answer::Stop(stop) => {
            cpu.answer_call(call, [Status::Success.register()]);
            return Break(stop);
        }
        Answer::Gone(request) => {
            // Answered although nobody will see it: the CPU starts anew or not at all.
            cpu.answer_call(call, [Status::Success.register()]);
            return Break(Stop::Power(request));
        }
    }
    Continue(())
}

fn answer(arguments: [u64; 8], siblings: &dyn Siblings, index: u32) -> Answer {
    let [function, first, second, third, ..] = arguments;
    let function = word(function);
    let wide = FunctionId::new(function).is_64bit();
    // Arguments of 32-bit calls are in W1 to W3.
    let narrow = |value: u64| if wide { value } else { value & 0xffff_ffff };
    let one = |status: Status| Answer::One(status.register());
    match Function::decode(function) {
        Function::PsciVersion => Answer::One(psci::VERSION_1_1.into()),
        Function::PsciFeatures => Answer::One(psci_features(word(first))),
        Function::CpuSuspend => suspend(word(first)),
        Function::CpuOff => Answer::Gone(PowerRequest::CpuOff),
        Function::CpuOn => {
            let from = PowerOn { entry: Gpa::new(narrow(second)), argument: narrow(third) };
            one(cpu_on(narrow(first), wide, from, siblings))
        }
        Function::AffinityInfo => Answer::One(affinity_info(narrow(first), wide, narrow(second), siblings)),
        Function::MigrateInfoType => Answer::One(psci::MIGRATION_NOT_REQUIRED),
        Function::SystemOff => Answer::Gone(PowerRequest::SystemOff),
        Function::SystemReset => Answer::Gone(PowerRequest::SystemReset),
        Function::SystemReset2 => match word(first) {
            // Bit 31 marks resets of a vendor, which may be treated as the one that the standard has.
            psci::SYSTEM_WARM_RESET => Answer::Gone(PowerRequest::SystemReset),
            vendor if vendor >> 31 != 0 => Answer::Gone(PowerRequest::SystemReset),
            _ => one(Status::InvalidParameters),
        },
        Function::SmcccVersion => Answer::One(smccc::VERSION_1_1.into()),
        Function::ArchFeatures => Answer::One(match word(first) {
            pv_time::FEATURES => pv_time_features(pv_time::FEATURES, siblings, index),
            function => arch_features(function),
        }),
        Function::TrngVersion => Answer::One(trng::VERSION_1_0.into()),
        Function::TrngFeatures => Answer::One(match Function::decode(word(first)) {
            Function::TrngVersion | Function::TrngFeatures | Function::TrngGetUuid | Function::TrngRnd => 0,
            _ => trng::Status::NotSupported.register(),
        }),
        Function::TrngGetUuid => Answer::Four(smccc::uuid_registers(TRNG_UUID).map(u64::from)),
        Function::TrngRnd => random(narrow(first), wide),
        Function::VendorHypUid => Answer::Four(smccc::uuid_registers(HYPERVISOR_UUID).map(u64::from)),
        Function::VendorHypRevision => Answer::Four([0, 1, 0, 0]),
        Function::PvTimeFeatures => Answer::One(pv_time_features(word(first), siblings, index)),
        Function::PvTimeSt => match siblings.stolen_time(index) {
            Some(at) => Answer::Place(at),
            None => Answer::One(smccc::status(smccc::NOT_SUPPORTED)),
        },
        _ => Answer::One(smccc::status(smccc::NOT_SUPPORTED)),
    }
}

/// DEN0057 3.2: what of paravirtualized time there is.
fn pv_time_features(function: u32, siblings: &dyn Siblings, index: u32) -> u64 {
    match function {
        pv_time::FEATURES | pv_time::STOLEN_TIME if siblings.stolen_time(index).is_some() => 0,
        _ => smccc::status(smccc::NOT_SUPPORTED),
    }
}

/// The identity of our random numbers.
const TRNG_UUID: [u8; 16] =
    [0x6f, 0x3a, 0x1c, 0x52, 0x98, 0x0d, 0x4e, 0x27, 0xb1, 0x45, 0x0a, 0x7e, 0xd3, 0x99, 0x60, 0x2b];
/// The identity of this hypervisor.
const HYPERVISOR_UUID: [u8; 16] =
    [0xc2, 0x71, 0x08, 0xbe, 0x35, 0x9f, 0x4d, 0x16, 0x8a, 0x60, 0x51, 0xe4, 0x2d, 0x7b, 0xf3, 0x0c];

fn word(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// PSCI 5.15. Of CPU_SUSPEND only the original format of `power_state` is known: no feature bits.
fn psci_features(function: u32) -> u64 {
    match Function::decode(function) {
        Function::PsciVersion
        | Function::PsciFeatures
        | Function::CpuSuspend
        | Function::CpuOff
        | Function::CpuOn
        | Function::AffinityInfo
        | Function::MigrateInfoType
        | Function::SystemOff
        | Function::SystemReset
        | Function::SystemReset2
        | Function::SmcccVersion => 0,
        _ => Status::NotSupported.register(),
    }
}

/// SMCCC 7.3. Workarounds are not offered: a guest that is vulnerable to its own programs is told nothing
/// else. There is no SOC_ID, since there is no maker of this SoC.
fn arch_features(function: u32) -> u64 {
    match Function::decode(function) {
        Function::SmcccVersion | Function::ArchFeatures => 0,
        _ => smccc::status(smccc::NOT_SUPPORTED),
    }
}

/// PSCI 5.4. A powerdown state may be answered as standby is: the caller must expect to wake at once.
fn suspend(state: u32) -> Answer {
    if PowerState::new(state).has_reserved_bits() {
        return Answer::One(Status::InvalidParameters.register());
    }
    Answer::Stop(Stop::Idle)
}

/// PSCI 5.6.
fn cpu_on(target: u64, wide: bool, from: PowerOn, siblings: &dyn Siblings) -> Status {
    if target & !affinity_mask(wide) != 0 {
        return Status::InvalidParameters;
    }
    match siblings.power_on(target, from) {
        Ok(()) => Status::Success,
        Err(PowerError::NoSuchCpu) => Status::InvalidParameters,
        Err(PowerError::AlreadyOn) => Status::AlreadyOn,
        Err(PowerError::OnPending) => Status::OnPending,
        Err(PowerError::BadEntry) => Status::InvalidAddress,
    }
}

/// PSCI 5.7. Since version 1.0 levels above single CPUs need not be answered.
fn affinity_info(target: u64, wide: bool, level: u64, siblings: &dyn Siblings) -> u64 {
    if target & !affinity_mask(wide) != 0 || level != 0 {
        return Status::InvalidParameters.register();
    }
    match siblings.state(target) {
        None => Status::InvalidParameters.register(),
        Some(CpuState::On | CpuState::Suspended) => AffinityInfo::On as u64,
        Some(CpuState::Off) => AffinityInfo::Off as u64,
        Some(CpuState::OnPending) => AffinityInfo::OnPending as u64,
    }
}

fn affinity_mask(wide: bool) -> u64 {
    if wide { psci::AFFINITY_64 } else { psci::AFFINITY_32 }
}

/// TRNG_RND, DEN0098 2.4.
fn random(bits: u64, wide: bool) -> Answer {
    if !trng::is_valid_request(bits, wide) {
        return Answer::One(trng::Status::InvalidParameters.register());
    }
    let now = Machine::now().0;
    let fresh = [entropy::word(now), entropy::word(now), entropy::word(now)];
    match trng::rnd_registers(fresh, bits, wide) {
        Ok(results) => Answer::Four(results),
        Err(status) => Answer::One(status.register()),
    }
}
