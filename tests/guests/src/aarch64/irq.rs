//! Interrupts as all programs use them: taken, silenced, ended; sent to other CPUs.

use super::timer;
use crate::runtime::machine::machine;
use crate::runtime::random::Random;

/// The SGI by which other CPUs answer.
const ANSWER: u32 = 7;
/// The one by which they are called.
const CALL: u32 = 1;
/// The one by which all others are called.
const CALL_ALL: u32 = 5;

/// Starts the controller, with everything disabled, and this CPU's part.
pub(crate) fn start() {
    machine().parts.gic.start();
    start_cpu();
}

/// Starts this CPU's part.
pub(crate) fn start_cpu() {
    machine().parts.gic.start_cpu();
}

/// Lets the timer interrupt.
pub(crate) fn listen_to_timer() {
    machine().parts.gic.enable(timer::VIRTUAL_ID);
}

/// An interrupt that was taken and is not ended.
pub(crate) struct Taken(u32);

/// Takes the interrupt that waits.
#[inline(always)]
pub(crate) fn take() -> Option<Taken> {
    let acknowledged = machine().parts.gic.acknowledge();
    (acknowledged & 0x3ff < 1020).then_some(Taken(acknowledged))
}

impl Taken {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0 & 0x3ff
    }

    /// Whether a CPU sent it.
    pub(crate) fn is_from_cpu(&self) -> bool {
        self.id() < 16
    }

    /// Its source is to be quiet.
    pub(crate) fn silence(&self) {
        match self.id() {
            timer::VIRTUAL_ID => timer::stop(),
            timer::PHYSICAL_ID => timer::stop_physical(),
            id => machine().parts.gic.disable(id),
        }
    }

    /// Ends it.
    #[inline(always)]
    pub(crate) fn end(self) {
        machine().parts.gic.end(self.0);
    }
}

/// Interrupts the CPU that firmware calls `to`.
#[inline(always)]
pub(crate) fn send(to: u64) {
    machine().parts.gic.send(CALL, to);
}

/// The same, in answer.
pub(crate) fn answer(to: u64) {
    machine().parts.gic.send(ANSWER, to);
}

/// Interrupts all others.
pub(crate) fn send_others() {
    machine().parts.gic.send_others(CALL_ALL);
}

/// Takes what waits; says whether it was an answer.
pub(crate) fn take_answer() -> bool {
    take().is_some_and(|taken| {
        let is_answer = taken.id() == ANSWER;
        taken.end();
        is_answer
    })
}

/// Any SGI to anybody.
pub(crate) fn send_any(random: &mut Random) {
    let id = random.below(16) as u32;
    match random.below(4) {
        0 => machine().parts.gic.send_others(id),
        _ => machine().parts.gic.send(id, random.of(machine().cpus())),
    }
}
