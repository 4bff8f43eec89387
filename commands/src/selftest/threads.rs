//! Threads: they come and go, wake each other, and the more urgent one comes first.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU32, Ordering};
use host_thread::{Completion, Options, Priority, Semaphore, Thread, Woken, current, park, park_until, time};

use super::{Test, Wrong, ensure, spawn};

pub(super) const TEST: Test =
    Test { name: "threads", about: "they come and go, wake each other, urgent ones come first", run };

/// Wakes back and forth.
const ROUNDS: u32 = 500;
/// Longer than any of this takes.
const LIMIT: Nanos = Nanos::from_millis(20_000);

fn run() -> Result<String, Wrong> {
    come_and_go()?;
    let wake = ping_pong()?;
    urgent_first()?;
    deadlines()?;
    Ok(format!("a wake and a switch take {wake} ns"))
}

fn come_and_go() -> Result<(), Wrong> {
    let count = Arc::new(AtomicU32::new(0));
    for _ in 0..10 {
        let threads: Vec<Thread> = (0..20)
            .map(|_| {
                let count = count.clone();
                spawn(Options::new("selftest/short"), move || {
                    host_thread::yield_now();
                    count.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect::<Result<_, _>>()?;
        threads.iter().for_each(Thread::join);
    }
    let count = count.load(Ordering::Relaxed);
    ensure(count == 200, || format!("{count} of 200 threads ran"))
}

/// Two threads that wake each other; nanoseconds for one wake and the switch to who was woken.
fn ping_pong() -> Result<u64, Wrong> {
    let turn = Arc::new(AtomicU32::new(0));
    let (me, its) = (current(), turn.clone());
    let peer = spawn(Options::new("selftest/pong"), move || {
        for round in 0..ROUNDS {
            while its.load(Ordering::Acquire) != 2 * round + 1 {
                park();
            }
            its.store(2 * round + 2, Ordering::Release);
            me.wake();
        }
    })?;
    let begun = time::now();
    for round in 0..ROUNDS {
        turn.store(2 * round + 1, Ordering::Release);
        peer.wake();
        while turn.load(Ordering::Acquire) != 2 * round + 2 {
            ensure(park_until(begun.after(LIMIT)) == Woken::ByWake, || {
                format!("a wake was lost in round {round}")
            })?;
        }
    }
    let took = time::now().since(begun).0;
    peer.join();
    Ok(took / u64::from(2 * ROUNDS))
}

/// One that is woken and more urgent runs before who wakes it goes on, wherever both run.
fn urgent_first() -> Result<(), Wrong> {
    let (go, ran) = (Arc::new(Semaphore::new(0)), Arc::new(Completion::new()));
    let (its_go, its_ran) = (go.clone(), ran.clone());
    let urgent = spawn(Options::new("selftest/urgent").priority(Priority::HIGHEST), move || {
        its_go.take();
        its_ran.complete();
    })?;
    go.give();
    let here = urgent.cpu() == current().cpu();
    let in_time = if here { ran.is_complete() } else { ran.wait_until(time::now().after(LIMIT)) };
    urgent.join();
    ensure(in_time, || "a more urgent thread did not run at once".into())
}

fn deadlines() -> Result<(), Wrong> {
    let never = Completion::new();
    let at = time::now().after(Nanos::from_millis(5));
    let happened = never.wait_until(at);
    ensure(!happened && time::now() >= at, || "a wait with a deadline did not end by it".into())
}
