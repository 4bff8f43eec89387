//! Mappings that change under other CPUs: the addresses of stacks are used again and again with other memory
//! behind them. A CPU that still had the old translation would write into memory that is somebody else's now.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use atomic::{Arc, AtomicU32, Ordering};
use host_thread::{Options, Thread, yield_now};

use super::{Random, Test, Wrong, ensure, spawn};

pub(super) const TEST: Test =
    Test { name: "stacks", about: "addresses that are mapped anew are seen so by all CPUs", run };

const WORDS: usize = 1024;
const ROUNDS: u64 = 40;

fn run() -> Result<String, Wrong> {
    let wrong = Arc::new(AtomicU32::new(0));
    let mut random = Random(0x57ac);
    let mut waiting: Vec<Thread> = Vec::new();
    // Frames that are kept for a while, so that the next stack at an address has other ones.
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        for number in 0..4 {
            let mark = round * 16 + number;
            let wrong = wrong.clone();
            // The order in which stacks come and go differs from round to round.
            let length = 16 + 16 * random.below(3) as usize;
            let options = Options::new("selftest/stack").stack(length << 10);
            waiting.push(spawn(options, move || use_stack(mark, &wrong))?);
        }
        let frames = host_mem::Frames::take(random.below(3) as u8).map_err(|why| format!("{why:?}"))?;
        kept.push(frames);
        while waiting.len() > 6 {
            let index = random.below(waiting.len() as u64) as usize;
            waiting.swap_remove(index).join();
        }
        if kept.len() > 8 {
            kept.clear();
        }
    }
    waiting.iter().for_each(Thread::join);
    let wrong = wrong.load(Ordering::Relaxed);
    ensure(wrong == 0, || format!("{wrong} words of stacks were not what was written"))?;
    Ok(format!("{} stacks", ROUNDS * 4))
}

/// Fills a good part of the stack and looks, again and again, whether it is still there.
#[inline(never)]
fn use_stack(mark: u64, wrong: &AtomicU32) {
    let mut words = [0_u64; WORDS];
    for (index, word) in (0..).zip(words.iter_mut()) {
        *word = mark << 32 | index;
    }
    for _ in 0..4 {
        // Others run, here and elsewhere, on addresses nearby.
        yield_now();
        let seen = core::hint::black_box(&words);
        let lost = (0..).zip(seen).filter(|(index, word)| **word != mark << 32 | *index).count();
        wrong.fetch_add(lost as u32, Ordering::Relaxed);
    }
}
