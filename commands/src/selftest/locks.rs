//! Locks under contention: what they guard is never seen half changed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU32, Ordering};
use host_sync::Spin;
use host_thread::{Mutex, Options, Priority, RwLock, Semaphore, Thread, time, yield_now};

use super::{Test, Wrong, ensure, spawn};

pub(super) const TEST: Test =
    Test { name: "locks", about: "what locks guard is never seen half changed", run };

const THREADS: u8 = 6;
const ROUNDS: u32 = 300;

/// A pair that is equal, unless somebody is in the middle of changing it.
type Pair = (u32, u32);

#[derive(Default)]
struct Shared {
    spin: Spin<Pair>,
    mutex: Mutex<Pair>,
    shared: RwLock<Pair>,
    broken: AtomicU32,
    inside: AtomicU32,
}

fn run() -> Result<String, Wrong> {
    let shared = Arc::new(Shared::default());
    let two = Arc::new(Semaphore::new(2));
    let begun = time::now();
    let threads: Vec<Thread> = (0..THREADS)
        .map(|number| {
            let (shared, two) = (shared.clone(), two.clone());
            let priority = Priority::new(2 + number % 3).unwrap_or(Priority::DEFAULT);
            let options =
                Options::new(format!("selftest/lock{number}")).priority(priority).time_slice(Nanos(200_000));
            spawn(options, move || (0..ROUNDS).for_each(|round| contend(&shared, &two, round)))
        })
        .collect::<Result<_, _>>()?;
    threads.iter().for_each(Thread::join);
    let broken = shared.broken.load(Ordering::Relaxed);
    ensure(broken == 0, || format!("{broken} times something was seen half changed"))?;
    let all = u32::from(THREADS) * ROUNDS;
    // One after the other: each lock is given back before the next is taken.
    let spin = *shared.spin.lock();
    let mutex = *shared.mutex.lock();
    let read = *shared.shared.read();
    for (name, pair) in
        [("the spin lock", spin), ("the mutex", mutex), ("the lock for readers and writers", read)]
    {
        let expected = if name.ends_with("writers") { all / 3 } else { all };
        ensure(pair == (expected, expected), || format!("{name} counted {pair:?} instead of {expected}"))?;
    }
    Ok(format!(
        "{all} rounds of {THREADS} threads, {} us each",
        time::now().since(begun).0 / 1000 / u64::from(all)
    ))
}

fn contend(shared: &Shared, two: &Semaphore, round: u32) {
    let change = |pair: &mut Pair, gives_way: bool| {
        shared.broken.fetch_add(u32::from(pair.0 != pair.1), Ordering::Relaxed);
        pair.0 += 1;
        if gives_way {
            yield_now();
        }
        pair.1 += 1;
    };
    change(&mut shared.spin.lock(), false);
    change(&mut shared.mutex.lock(), round.is_multiple_of(16));
    if round.is_multiple_of(3) {
        change(&mut shared.shared.write(), round.is_multiple_of(16));
    } else {
        let pair = shared.shared.read();
        shared.broken.fetch_add(u32::from(pair.0 != pair.1), Ordering::Relaxed);
        if round % 16 == 1 {
            yield_now();
        }
    }
    two.take();
    let inside = shared.inside.fetch_add(1, Ordering::SeqCst) + 1;
    shared.broken.fetch_add(u32::from(inside > 2), Ordering::Relaxed);
    if round % 16 == 2 {
        yield_now();
    }
    shared.inside.fetch_sub(1, Ordering::SeqCst);
    two.give();
}
