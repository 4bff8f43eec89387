//! Messages in a ring: the first hart sends all identities to the second one, which sends each on when it has taken it, and
//! so on until they are back. Each comes exactly once, whatever becomes of the harts meanwhile.

use atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use crate::arch::imsic::FROM_CPU;
use crate::arch::{MAX_CPUS, irq};
use crate::runtime::clock::within;
use crate::runtime::cpus::{self, Order};
use crate::runtime::machine::machine;
use crate::runtime::random::Random;
use crate::runtime::registers::{mask, unmask, wfi};
use crate::runtime::{say, timer};

/// Words of 64 identities, for up to 255.
const WORDS: usize = 4;
/// Nanoseconds in which a round must be over: much of that may be spent without a processor.
const PATIENCE: u64 = 20_000_000_000;
/// Rounds between two lines.
const MANY: u64 = 50;

static RING: AtomicBool = AtomicBool::new(false);
static SEEN: [[AtomicU64; WORDS]; MAX_CPUS] = [const { [const { AtomicU64::new(0) }; WORDS] }; MAX_CPUS];
static TWICE: AtomicU64 = AtomicU64::new(0);

/// An identity was taken. Says whether it was one of these.
#[inline(always)]
pub(crate) fn arrived(identity: u32) -> bool {
    RING.load(SeqCst) && {
        pass_on(identity);
        true
    }
}

#[cold]
fn pass_on(identity: u32) {
    let index = cpus::index();
    let (word, bit) = (identity as usize / 64 % WORDS, 1 << (identity % 64));
    if SEEN[index][word].fetch_or(bit, SeqCst) & bit != 0 {
        TWICE.fetch_add(1, SeqCst);
    }
    if index != 0 {
        send_on(index, identity);
    }
}

fn send_on(from: usize, identity: u32) {
    let cpus = machine().cpus();
    if let Some(imsic) = machine().parts.imsic {
        imsic.send(cpus[(from + 1) % cpus.len()], identity);
    }
}

/// Never ends, unless one is lost or comes twice.
pub(crate) fn run() {
    let Some(imsic) = machine().parts.imsic else {
        say!("there are no interrupt files");
        return;
    };
    irq::start();
    irq::listen_to_timer();
    let count = machine().cpus().len();
    RING.store(true, SeqCst);
    for index in 1..count {
        say!("MISCHIEF messages: CPU {index} powered on: {}", cpus::power_on(index));
        within(PATIENCE, || cpus::counts(index).0 != 0);
    }
    let last = imsic.highest.min(64 * WORDS as u32 - 1);
    let all =
        |index: usize| SEEN[index].iter().map(|word| word.load(SeqCst).count_ones()).sum::<u32>() == last;
    let mut random = Random::new(3);
    unmask();
    for round in 1_u64.. {
        // Those that run, and those that wait.
        cpus::order(if round % 2 == 0 { Order::Run } else { Order::Wait });
        let turn = random.below(u64::from(last)) as u32;
        for number in 0..last {
            send_on(0, FROM_CPU + (number + turn) % last);
        }
        let complete = within(PATIENCE, || {
            if !all(0) {
                // Not for long, should what is waited for be there already.
                mask();
                timer::arm(timer::now() + timer::frequency() / 1000);
                wfi();
                unmask();
            }
            all(0)
        });
        if !complete || TWICE.load(SeqCst) != 0 {
            for (index, seen) in SEEN.iter().enumerate().take(count) {
                say!("CPU {index} has seen {seen:x?}");
            }
            say!("FAIL messages were lost or came twice ({}), round {round}", TWICE.load(SeqCst));
            return;
        }
        SEEN.iter().flatten().for_each(|word| word.store(0, SeqCst));
        if round.is_multiple_of(MANY) {
            say!("MISCHIEF messages: {round} rounds");
        }
    }
}
