//! Whether a guest's memory stays its own while other guests have something else at the same addresses.

use atomic::{AtomicU64, Ordering::SeqCst};

use crate::arch::{MAX_CPUS, irq};
use crate::runtime::clock::{ticks, within};
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::mmio::{load64, store64};
use crate::runtime::registers::give_way;
use crate::runtime::{firmware, say, timer};

/// For so long it is looked.
const NANOSECONDS: u64 = 8_000_000_000;
/// Pages of each CPU, at the end of RAM.
const PAGES: u64 = 32;
const PAGE: u64 = 4096;

static SECRET: AtomicU64 = AtomicU64::new(0);
static ROUNDS: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];
static WRONG: AtomicU64 = AtomicU64::new(0);
static DONE: AtomicU64 = AtomicU64::new(0);

/// What stands at an address of the guest with this secret in this round; nothing else has the same.
fn mark(secret: u64, round: u64, address: u64) -> u64 {
    secret << 56 | (round & 0xff_ffff) << 32 | address & 0xffff_ffff
}

/// Every CPU fills pages of its own, looks whether that is still there, and writes something new.
pub(crate) fn run(name: &str) -> ! {
    let secret = name.parse().unwrap_or(0);
    SECRET.store(secret, SeqCst);
    irq::start();
    cpus::order(Order::Keep);
    let cpus = machine().cpus().len();
    say!("KEEP {name} start");
    for index in 1..cpus {
        cpus::power_on(index);
    }
    watch(0);
    within(60_000_000_000, || DONE.load(SeqCst) == cpus as u64);
    let rounds = || ROUNDS[..cpus].iter().map(|rounds| rounds.load(SeqCst));
    let (done, wrong) = (DONE.load(SeqCst), WRONG.load(SeqCst));
    if wrong == 0 && done == cpus as u64 && rounds().all(|rounds| rounds > 1) {
        say!("PASS keep {name}: {} rounds", rounds().sum::<u64>());
    } else {
        say!("FAIL keep {name}: {done} of {cpus} CPUs are done, {wrong} words were another's");
    }
    say!("KEEP {name} done");
    firmware::off()
}

/// One CPU's part.
pub(crate) fn watch(index: usize) {
    let secret = SECRET.load(SeqCst);
    let bank = machine().ram()[0];
    let first = bank.start + bank.size - (index as u64 + 1) * PAGES * PAGE;
    let addresses = || (first..first + PAGES * PAGE).step_by(PAGE as usize);
    let fill = |round| addresses().for_each(|at| store64(at, mark(secret, round, at)));
    fill(0);
    let end = timer::now() + ticks(NANOSECONDS);
    let mut round = 0;
    while timer::now() < end {
        give_way();
        for at in addresses() {
            let (found, wanted) = (load64(at), mark(secret, round, at));
            if found != wanted && WRONG.fetch_add(1, SeqCst) < 3 {
                say!("FAIL keep {secret}: at {at:#x} stands {found:#018x}, not {wanted:#018x}");
            }
        }
        round += 1;
        fill(round);
        ROUNDS[index].store(round, SeqCst);
    }
    DONE.fetch_add(1, SeqCst);
}
