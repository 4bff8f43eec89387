//! A thousand timers: each rings once, none before its time, cancelled ones not at all.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::Nanos;
use atomic::{Arc, AtomicU64, Ordering};
use host_thread::sleep;
use host_thread::time::{self, Timer};

use super::{Micros, Random, Test, Wrong, ensure};

pub(super) const TEST: Test =
    Test { name: "timers", about: "a thousand timers ring once each, and not too early", run };

const COUNT: u64 = 1000;
/// Over which they ring.
const SPAN: Nanos = Nanos::from_millis(200);

/// What the timers saw.
#[derive(Default)]
struct Seen {
    rang: AtomicU64,
    early: AtomicU64,
    cancelled: AtomicU64,
    /// The latest of all, and the sum, in nanoseconds.
    worst: AtomicU64,
    late: AtomicU64,
}

fn run() -> Result<String, Wrong> {
    let seen = Arc::new(Seen::default());
    let mut random = Random(0x7173);
    let begin = time::now().after(Nanos::from_millis(20));
    let mut timers = Vec::new();
    for number in 0..COUNT {
        let at = begin.after(Nanos(random.below(SPAN.0)));
        let (noted, is_cancelled) = (seen.clone(), number % 10 == 0);
        let timer = Timer::new(move |now| {
            noted.rang.fetch_add(1, Ordering::Relaxed);
            noted.early.fetch_add(u64::from(now < at), Ordering::Relaxed);
            noted.cancelled.fetch_add(u64::from(is_cancelled), Ordering::Relaxed);
            // Not `now`, which is the same for all that are due together.
            let late = time::now().since(at).0;
            noted.worst.fetch_max(late, Ordering::Relaxed);
            noted.late.fetch_add(late, Ordering::Relaxed);
        });
        // Some are armed twice, and ring once all the same.
        if number % 7 == 0 {
            timer.arm(begin.after(SPAN));
        }
        timer.arm(at);
        timers.push(timer);
    }
    let in_time = time::now() < begin;
    timers.iter().step_by(10).for_each(Timer::cancel);
    let cancelled_in_time = time::now() < begin;
    sleep(begin.after(SPAN).after(Nanos::from_millis(50)).since(time::now()));
    let read = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let armed = timers.iter().filter(|timer| timer.is_armed()).count();
    drop(timers);
    ensure(read(&seen.early) == 0, || format!("{} rang before their time", read(&seen.early)))?;
    ensure(armed == 0, || format!("{armed} have not rung"))?;
    if in_time && cancelled_in_time {
        let rang = read(&seen.rang);
        ensure(rang == COUNT - COUNT / 10, || format!("{rang} of {COUNT} rang"))?;
        ensure(read(&seen.cancelled) == 0, || format!("{} rang in spite", read(&seen.cancelled)))?;
    }
    let average = read(&seen.late) / read(&seen.rang).max(1);
    Ok(format!("{average} ns late on average, {} at most", Micros(Nanos(read(&seen.worst)))))
}
