//! The other CPUs: they answer each SGI with one to the first CPU, until they are told to do something
//! else.

use atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use isa_firmware::psci;

use super::head::{MAX_CPUS, secondary_entry};
use super::machine::machine;
use super::registers::{affinity, give_way, mask, unmask, wfi};
use super::{firmware, random::Random};

/// What the other CPUs are to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Answer SGIs.
    Answer = 0,
    /// Power off.
    Off = 1,
    /// Send SGIs to anybody, without end.
    Storm = 2,
    /// Note when an SGI arrives, and wait for the next one.
    Wait = 3,
    /// The same, but run on instead of waiting.
    Run = 4,
}

/// The SGI by which they answer.
pub(crate) const ANSWER: u32 = 7;

static ORDER: AtomicU32 = AtomicU32::new(Order::Answer as u32);
static STARTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static INTERRUPTED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static ENTERED: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// This CPU's place in the device tree.
pub(crate) fn index() -> usize {
    let own = affinity();
    machine().cpus().iter().position(|&cpu| cpu == own).unwrap_or(0)
}

/// Tells all other CPUs what to do; they see it at the next SGI.
pub(crate) fn order(order: Order) {
    ORDER.store(order as u32, SeqCst);
}

/// Powers on CPU `index`, whose argument is `index`; returns PSCI's status.
pub(crate) fn power_on(index: usize) -> i32 {
    let entry = secondary_entry as unsafe extern "C" fn() as usize as u64;
    firmware::status(psci::CPU_ON_64, [machine().cpus()[index], entry, index as u64])
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
        machine().gic.send(ANSWER, machine().cpus()[0]);
    }
}

/// Where a CPU that was powered on arrives; `argument` is what was given to CPU_ON.
pub(super) extern "C" fn secondary(argument: u64) -> ! {
    let index = index();
    machine().gic.start_cpu();
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
            let to = random.of(machine().cpus());
            machine().gic.send(random.below(16) as u32, to);
        } else if order == Order::Off as u32 {
            firmware::call(psci::CPU_OFF, [0; 3]);
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
