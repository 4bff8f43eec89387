//! Interrupts as all programs use them: taken, silenced, ended; sent to other CPUs.

use isa_firmware::sbi::{Extension, ipi};

use super::imsic::{self, FROM_CPU};
use super::mischief::messages;
use super::registers::{EXTERNAL, SOFTWARE, TIMER, clear_bits, get, irq_waits, set, set_bits};
use super::selfcheck::units;
use super::{firmware, timer};
use crate::runtime::machine::machine;
use crate::runtime::random::Random;

/// Numbers of sources of the PLIC and identities of messages, from here on; below are the bits in `sip`.
const FIRST_SOURCE: u32 = 64;
/// The number of a timer interrupt.
pub(crate) const TIMER_ID: u32 = TIMER.trailing_zeros();
/// The number of an interrupt from a CPU.
pub(crate) const SOFTWARE_ID: u32 = SOFTWARE.trailing_zeros();

/// Starts the controller, with everything disabled, and this CPU's part.
pub(crate) fn start() {
    if let Some(plic) = machine().parts.plic {
        plic.start();
    }
    start_cpu();
}

/// Starts this CPU's part.
pub(crate) fn start_cpu() {
    units::fill();
    timer::stop();
    clear_bits!("sip", SOFTWARE);
    if let Some(imsic) = machine().parts.imsic {
        imsic.start();
    }
    set!("sie", SOFTWARE | EXTERNAL);
}

/// Lets the timer interrupt.
pub(crate) fn listen_to_timer() {
    set_bits!("sie", TIMER);
}

/// An interrupt that was taken and is not ended.
pub(crate) struct Taken(u32);

/// Takes the interrupt that waits.
#[inline(always)]
pub(crate) fn take() -> Option<Taken> {
    let waiting = get!("sip") & get!("sie");
    if waiting & SOFTWARE != 0 {
        clear_bits!("sip", SOFTWARE);
        return Some(Taken(SOFTWARE_ID));
    }
    if waiting & EXTERNAL != 0 {
        if machine().parts.imsic.is_some() {
            return message();
        }
        let source = machine().parts.plic?.claim();
        return (source != 0).then_some(Taken(FIRST_SOURCE + source));
    }
    (waiting & TIMER != 0).then_some(Taken(TIMER_ID))
}

/// Takes the message that waits.
#[inline(always)]
fn message() -> Option<Taken> {
    match imsic::claim() {
        0 => None,
        identity if messages::arrived(identity) => None,
        FROM_CPU => Some(Taken(SOFTWARE_ID)),
        identity => Some(Taken(FIRST_SOURCE + identity)),
    }
}

/// Takes what waits of other CPUs, and does nothing about it.
pub(crate) fn forget() {
    clear_bits!("sip", SOFTWARE);
    while machine().parts.imsic.is_some() && imsic::claim() != 0 {}
}

impl Taken {
    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.0
    }

    /// Whether a CPU sent it.
    pub(crate) fn is_from_cpu(&self) -> bool {
        self.0 == SOFTWARE_ID
    }

    /// Its source is to be quiet.
    pub(crate) fn silence(&self) {
        match (self.0.checked_sub(FIRST_SOURCE), machine().parts.plic) {
            (Some(source), Some(plic)) => plic.set_enabled(source, false),
            _ => timer::stop(),
        }
    }

    /// Ends it.
    #[inline(always)]
    pub(crate) fn end(self) {
        if let Some(source) = self.0.checked_sub(FIRST_SOURCE)
            && let Some(plic) = machine().parts.plic
        {
            plic.complete(source);
        }
    }
}

/// Interrupts the hart with this id.
#[inline(always)]
pub(crate) fn send(to: u64) {
    if let Some(imsic) = machine().parts.imsic {
        return imsic.send(to, FROM_CPU);
    }
    firmware::call(Extension::Ipi, ipi::SEND_IPI, [1, to, 0, 0]);
}

/// The same, in answer: of a CPU whose floating-point and vector registers are still its own.
pub(crate) fn answer(to: u64) {
    if units::are_intact() {
        send(to);
    }
}

/// Interrupts all others, and this one.
pub(crate) fn send_others() {
    firmware::call(Extension::Ipi, ipi::SEND_IPI, [0, u64::MAX, 0, 0]);
}

/// Takes what waits of other CPUs; says whether it was anything.
pub(crate) fn take_answer() -> bool {
    let came = irq_waits();
    forget();
    came
}

/// All harts at once, one, or some that are not all there.
pub(crate) fn send_any(random: &mut Random) {
    let arguments = match random.below(4) {
        0 => [0, u64::MAX, 0, 0],
        1 => [random.number(), random.number(), 0, 0],
        _ => [1, random.of(machine().cpus()), 0, 0],
    };
    firmware::call(Extension::Ipi, ipi::SEND_IPI, arguments);
}
