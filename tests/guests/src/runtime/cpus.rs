//! The other CPUs: they answer each interrupt from another CPU with one to the first CPU, until they are told to do
//! something else.

use atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};

use super::machine::machine;
use super::random::Random;
use super::registers::{give_way, mask, unmask, wfi};
use crate::arch::{MAX_CPUS, irq, power};
use crate::keep;

/// What the other CPUs are to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Answer.
    Answer = 0,
    /// Power off.
    Off = 1,
    /// Interrupt anybody, without end.
    Storm = 2,
    /// Note when an interrupt arrives, and wait for the next one.
    Wait = 3,
    /// The same, but run on instead of waiting.
    Run = 4,
    /// Look after memory, and power off.
    Keep = 5,
}

static ORDER: AtomicU32 = AtomicU32::new(Order::Answer as u32);
static STARTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static INTERRUPTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static ENTERED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// This CPU's place among [`machine().cpus()`](super::machine::Machine::cpus).
pub(crate) fn index() -> usize {
    let own = power::own_id();
    machine().cpus().iter().position(|&cpu| cpu == own).unwrap_or(0)
}

/// Tells all other CPUs what to do; they see it at the next interrupt.
pub(crate) fn order(order: Order) {
    ORDER.store(order as u32, SeqCst);
}

/// Powers on CPU `index`, whose argument is `index`; returns the firmware's status.
pub(crate) fn power_on(index: usize) -> i32 {
    power::on(machine().cpus()[index], index as u64)
}

/// How often CPU `index` has started, and how many interrupts it has taken.
pub(crate) fn counts(index: usize) -> (u64, u64) {
    (STARTED[index].load(SeqCst), INTERRUPTED[index].load(SeqCst))
}

/// The counter when CPU `index` took its last interrupt.
pub(crate) fn entered(index: usize) -> u64 {
    ENTERED[index].load(SeqCst)
}

/// Called at an interrupt of a CPU other than the first, which came at time `entered`.
pub(super) fn interrupted(entered: u64) {
    ENTERED[index()].store(entered, SeqCst);
    INTERRUPTED[index()].fetch_add(1, SeqCst);
    if ORDER.load(SeqCst) == Order::Answer as u32 {
        irq::answer(machine().cpus()[0]);
    }
}

/// Where a CPU that was powered on arrives; `argument` is what was given with the order.
pub(crate) extern "C" fn secondary(argument: u64) -> ! {
    let index = index();
    irq::start_cpu();
    // A wrong argument shows as a CPU that never starts.
    if argument == index as u64 {
        STARTED[index].fetch_add(1, SeqCst);
    }
    let mut random = Random::new(argument);
    loop {
        // An interrupt between the look at the order and WFI ends WFI, too.
        mask();
        let order = ORDER.load(SeqCst);
        if order == Order::Storm as u32 {
            irq::send_any(&mut random);
        } else if order == Order::Off as u32 {
            power::off();
        } else if order == Order::Keep as u32 {
            unmask();
            keep::watch(index);
            power::off();
        } else if order == Order::Run as u32 {
            unmask();
            while ORDER.load(SeqCst) == order {
                give_way();
            }
        } else {
            wfi();
        }
        unmask();
    }
}
