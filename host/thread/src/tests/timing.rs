use alloc::boxed::Box;
use alloc::format;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arch::{Clock, Machine, Waits};

use super::{Log, boot, compute, ms, run, times};
use crate::time::{self, Timer, wall};
use crate::{Kind, Options, State, Woken, current, list, park, park_until, sleep, spawn};

#[test]
fn a_timer_rings_once_at_its_time() {
    boot();
    let log = Log::default();
    let timer = Timer::new({
        let log = log.clone();
        move |now| log.note(format!("{}", now.0 / 1_000_000))
    });
    timer.arm(ms(5));
    assert!(timer.is_armed());
    compute(3);
    assert!(log.take().is_empty());
    compute(10);
    assert!(!timer.is_armed());
    assert_eq!(log.take(), ["5"]);
}

#[test]
fn an_armed_timer_can_be_moved_and_cancelled() {
    boot();
    let count = Arc::new(AtomicU32::new(0));
    let timer = Timer::new({
        let count = count.clone();
        move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    timer.arm(ms(5));
    timer.arm(ms(50));
    compute(10);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    timer.cancel();
    compute(100);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    timer.arm(ms(0));
    compute(1);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    timer.arm(ms(500));
    drop(timer);
    compute(1000);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn a_timer_may_arm_itself_again() {
    boot();
    let count = Arc::new(AtomicU32::new(0));
    let timer = Arc::new_cyclic(|timer: &std::sync::Weak<Timer>| {
        let (timer, count) = (timer.clone(), count.clone());
        Timer::new(move |now| {
            count.fetch_add(1, Ordering::Relaxed);
            if let Some(timer) = timer.upgrade() {
                timer.arm(now.after(ms(10)));
            }
        })
    });
    timer.arm(ms(10));
    sleep(ms(100));
    assert_eq!(count.load(Ordering::Relaxed), 10);
}

#[test]
fn a_park_with_a_deadline_says_how_it_ended() {
    boot();
    assert_eq!(park_until(ms(20)), Woken::ByTime);
    assert_eq!(time::now(), ms(20));
    let me = current();
    let other = run("waker", 1, move || {
        compute(5);
        me.wake();
    });
    assert_eq!(park_until(ms(100)), Woken::ByWake);
    assert_eq!(time::now(), ms(25));
    // Its deadline is gone: the next park is not ended by it.
    current().alarm(Some(ms(200)));
    park();
    assert_eq!(time::now(), ms(200));
    assert_eq!(park_until(ms(150)), Woken::ByTime);
    other.join();
}

#[test]
fn a_sleep_is_not_cut_short_by_a_wake_and_does_not_swallow_it() {
    boot();
    let me = current();
    let other = run("waker", 1, move || me.wake());
    sleep(ms(9));
    assert_eq!(time::now(), ms(10));
    park();
    assert_eq!(time::now(), ms(10));
    other.join();
}

#[test]
fn an_alarm_can_be_taken_back() {
    boot();
    current().alarm(Some(ms(5)));
    current().alarm(None);
    assert_eq!(park_until(ms(30)), Woken::ByTime);
}

#[test]
fn many_sleepers_wake_in_the_order_of_their_times() {
    boot();
    let log = Log::default();
    let all = times(50);
    let threads: std::vec::Vec<_> = (0..u64::from(all))
        .map(|n| {
            let log = log.clone();
            let length = (n * 37) % 50 + 1;
            run("sleeper", 3, move || {
                sleep(ms(length));
                log.note(format!("{length:02}"));
            })
        })
        .collect();
    threads.iter().for_each(crate::Thread::join);
    let log = log.take();
    assert!(log.is_sorted());
    assert_eq!(log.len(), all as usize);
}

#[test]
fn the_time_of_day_counts_on_from_what_was_set() {
    boot();
    wall::set(1_700_000_000);
    wall::set_zone(120);
    compute(1500);
    assert_eq!(wall::now(), Some(1_700_000_001_500_000_000));
    assert_eq!(wall::zone(), 120);
}

#[test]
fn a_wait_in_place_is_no_work_of_the_thread_and_the_processor_idles() {
    boot();
    let waits = Arc::new(Waits::new());
    let counted = Arc::clone(&waits);
    let options = Options::new("guest0/vcpu0").kind(Kind::Vcpu).waits(Arc::clone(&waits));
    let thread = spawn(
        options,
        Box::new(move || {
            compute(2);
            counted.begin(Machine::now());
            compute(5);
            // While it lasts.
            assert_eq!((current().stats().running, current().state()), (ms(2), State::Parked));
            counted.end(Machine::now());
            compute(1);
            sleep(ms(100));
        }),
    )
    .unwrap();
    let mine = |name: &str| list().into_iter().find(|info| info.name == name && info.cpu == current().cpu());
    sleep(ms(20));
    let stats = thread.stats();
    assert_eq!((stats.running, stats.parked), (ms(3), ms(17)));
    // All but the 3 ms of work.
    let idle = mine("idle").unwrap().stats;
    assert_eq!((idle.running, idle.ready), (ms(17), ms(3)));
    // What the CPU idled is not forgotten when the thread has gone.
    thread.join();
    crate::cpu::bury_all();
    let idle = mine("idle").unwrap().stats;
    assert_eq!((idle.running, idle.ready), (ms(105), ms(3)));
}
