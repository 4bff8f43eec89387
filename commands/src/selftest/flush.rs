//! The translation of an address is forgotten by all CPUs when it changes: every CPU reads a page, then the same address
//! has another frame, and every CPU must read that.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use atomic::{Arc, AtomicU32, AtomicU64, Ordering};
use host_mem::{Frames, Probe};
use host_thread::{Options, RwLock, Semaphore, Thread};

use super::{Test, Wrong, ensure, spawn};

pub(super) const TEST: Test =
    Test { name: "flush", about: "all CPUs forget a translation that changed", run };

const ROUNDS: u64 = 100;
/// Frames that are taken after a page was given back, so that its own is among them.
const KEPT: usize = 4;
/// The round that is none.
const END: u64 = 0;

#[derive(Default)]
struct Shared {
    probe: RwLock<Option<Probe>>,
    /// What is to be read.
    round: AtomicU64,
    wrong: AtomicU32,
}

fn run() -> Result<String, Wrong> {
    let shared = Arc::new(Shared::default());
    let answers = Arc::new(Semaphore::new(0));
    let mut readers: Vec<(Arc<Semaphore>, Thread)> = Vec::new();
    let mut result = Ok(());
    for _ in host_thread::online().iter() {
        let go = Arc::new(Semaphore::new(0));
        let (shared, answers, mine) = (shared.clone(), answers.clone(), go.clone());
        match spawn(Options::new("selftest/flush"), move || read(&shared, &mine, &answers)) {
            Ok(thread) => readers.push((go, thread)),
            // Those that are there are told to end.
            Err(why) => result = Err(why),
        }
    }
    let mut same = 0;
    for round in 1..=ROUNDS {
        if result.is_err() {
            break;
        }
        match exchange(&shared, round) {
            Ok(stayed) => same += u64::from(stayed),
            Err(why) => {
                result = Err(why);
                continue;
            }
        }
        shared.round.store(round, Ordering::SeqCst);
        readers.iter().for_each(|(go, _)| go.give());
        readers.iter().for_each(|_| answers.take());
    }
    shared.round.store(END, Ordering::SeqCst);
    for (go, thread) in &readers {
        go.give();
        thread.join();
    }
    result?;
    let wrong = shared.wrong.load(Ordering::SeqCst);
    ensure(wrong == 0, || format!("{wrong} times a CPU read what was behind an address before"))?;
    ensure(same > ROUNDS / 2, || format!("the address stayed {same} times of {ROUNDS} only"))?;
    Ok(format!("{same} times another frame, on {} CPUs", readers.len()))
}

/// Another page, if possible at the same address, with another frame. Says whether the address is the same.
fn exchange(shared: &Shared, round: u64) -> Result<bool, Wrong> {
    let mut probe = shared.probe.write();
    let before = probe.take().map(|old| old.address());
    let kept: Vec<_> = (0..KEPT).map(|_| Frames::take(0)).collect();
    let new = Probe::new().map_err(|_| String::from("no memory"))?;
    drop(kept);
    new.store(round);
    let stayed = before == Some(new.address());
    *probe = Some(new);
    Ok(stayed)
}

/// Looks in each round what it reads.
fn read(shared: &Shared, go: &Semaphore, answers: &Semaphore) {
    loop {
        go.take();
        let round = shared.round.load(Ordering::SeqCst);
        if round == END {
            return;
        }
        let seen = shared.probe.read().as_ref().map(Probe::load);
        shared.wrong.fetch_add(u32::from(seen != Some(round)), Ordering::SeqCst);
        answers.give();
    }
}
