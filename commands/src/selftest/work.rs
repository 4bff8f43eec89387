//! Work queues: every job that was asked for is done, those for later not before their time.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU64, Ordering};
use host_thread::work::{Queue, Work};
use host_thread::{Options, sleep, time};

use super::{Test, Wrong, ensure};

pub(super) const TEST: Test =
    Test { name: "work", about: "jobs are done, later ones not before their time", run };

fn run() -> Result<String, Wrong> {
    let queue = Queue::new(Options::new("selftest/work")).map_err(|why| format!("{why}"))?;
    let done = Arc::new(AtomicU64::new(0));
    let works: Vec<Work> = (0..50)
        .map(|_| {
            let done = done.clone();
            queue.work(move || {
                done.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    works.iter().for_each(Work::ask);
    queue.flush();
    let count = done.load(Ordering::Relaxed);
    ensure(count == 50, || format!("{count} of 50 jobs were done"))?;

    let at = Arc::new(AtomicU64::new(0));
    let later = queue.work({
        let at = at.clone();
        move || at.store(time::now().0, Ordering::Relaxed)
    });
    let wanted = time::now().after(Nanos::from_millis(10));
    later.ask_after(Nanos::from_millis(10));
    sleep(Nanos::from_millis(50));
    later.wait();
    let was = Nanos(at.load(Ordering::Relaxed));
    ensure(was >= wanted, || format!("a job for later was done {} ns too early", wanted.since(was).0))?;
    Ok(format!("a job for later was {} us late", was.since(wanted).0 / 1000))
}
