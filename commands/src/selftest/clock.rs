//! The clock: it never goes back, on whichever CPU it is read; sleeps are never too short.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU64, Ordering};
use host_thread::{Options, sleep, time, yield_now};

use super::{Micros, Test, Wrong, ensure, spawn};

pub(super) const TEST: Test =
    Test { name: "clock", about: "the clock never goes back, sleeps are not too short", run };

/// More than CPUs that a small machine has.
const THREADS: usize = 4;

fn run() -> Result<String, Wrong> {
    // The latest point of time that anybody has seen.
    let latest = Arc::new(AtomicU64::new(0));
    let backwards = Arc::new(AtomicU64::new(0));
    let reader = |latest: Arc<AtomicU64>, backwards: Arc<AtomicU64>| {
        move || {
            for round in 0..2000 {
                let seen = latest.load(Ordering::SeqCst);
                let now = time::now().0;
                backwards.fetch_max(seen.saturating_sub(now), Ordering::SeqCst);
                latest.fetch_max(now, Ordering::SeqCst);
                if round % 100 == 0 {
                    yield_now();
                }
            }
        }
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|_| spawn(Options::new("selftest/clock"), reader(latest.clone(), backwards.clone())))
        .collect::<Result<_, _>>()?;
    threads.iter().for_each(host_thread::Thread::join);
    let back = backwards.load(Ordering::SeqCst);
    ensure(back == 0, || format!("the clock went back by {back} ns"))?;

    let mut worst = Nanos(0);
    for millis in [1, 2, 5, 10] {
        let wanted = Nanos::from_millis(millis);
        let before = time::now();
        sleep(wanted);
        let took = time::now().since(before);
        ensure(took >= wanted, || format!("a sleep of {millis} ms took {}", Micros(took)))?;
        worst = worst.max(took.since(wanted));
    }
    Ok(format!("sleeps are at most {} late", Micros(worst)))
}
