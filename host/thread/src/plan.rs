//! Which policy each CPU has.
#![forbid(unsafe_code)]

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{Clock, CpuId, IrqsOff, Machine};
use host_sync::Once;

use crate::cpu::{look_again, preempt_here, roster_of, started};
use crate::policy::{self, Plan, Policy};

static PLAN: Once<Plan> = Once::new();

/// Says which policy each CPU begins with, before threads start there. The first word stays.
pub fn set_plan(plan: Plan) {
    // A second one would be a bug of start-up; the first one goes on working.
    let _ = PLAN.set(plan);
}

/// The policy with which `cpu` begins.
pub(crate) fn planned(cpu: CpuId) -> Box<dyn Policy> {
    (PLAN.get().map_or_else(policy::default, |plan| plan.of(cpu)).make)()
}

/// Exchanges the policy of `cpu`: it begins with all who are ready, in no particular order.
///
/// # Errors
/// It does not take on a thread that is there, which the text names; the policy stays what it was.
pub fn set_policy(cpu: CpuId, policy: Box<dyn Policy>) -> Result<(), String> {
    let masked = IrqsOff::now();
    let mut roster = roster_of(cpu, &masked);
    let mut policy = Some(policy);
    let result = roster.set_policy(&mut policy, Machine::now());
    drop(roster);
    look_again(cpu, &masked);
    drop(masked);
    preempt_here();
    drop(policy);
    result.map_err(|(control, why)| format!("{}: {why}", control.name))
}

/// What there is to say of a CPU's policy.
#[derive(Clone, Debug)]
pub struct PolicyState {
    /// The CPU.
    pub cpu: CpuId,
    /// The name by which the policy is chosen.
    pub name: &'static str,
    /// What it shows of itself.
    pub state: String,
    /// How many of its answers were no answers: threads that are not ready. The mechanism does not follow those.
    pub faults: u64,
}

/// The policies of all CPUs.
pub fn policies() -> Vec<PolicyState> {
    let state = |cpu| {
        // Made before the lock is taken, long enough for what policies have to say.
        let mut text = String::with_capacity(256);
        let masked = IrqsOff::now();
        let roster = roster_of(cpu, &masked);
        let name = roster.policy.as_ref().map_or("none", |policy| policy.name());
        // A `String` takes everything.
        let _ = roster.policy.as_ref().map_or(Ok(()), |policy| policy.show(&mut text));
        PolicyState { cpu, name, state: text, faults: roster.faults }
    };
    started().map(state).collect()
}
