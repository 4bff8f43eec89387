use alloc::format;
use std::sync::Arc;

use host_sync::Spin;

use super::{Log, boot, compute, ms, run, times};
use crate::{Completion, Mutex, Semaphore, Thread, WaitQueue, current, park, sleep, time, yield_now};

#[test]
fn a_mutex_is_handed_to_who_has_waited_longest() {
    boot();
    let log = Log::default();
    let mutex = Arc::new(Mutex::new(0));
    let guard = mutex.lock();
    let threads = ["a", "b", "c"].map(|name| {
        let (mutex, log) = (mutex.clone(), log.clone());
        run(name, 3, move || {
            let mut value = mutex.lock();
            *value += 1;
            log.note(format!("{name}{}", *value));
            // Nobody else comes in meanwhile.
            yield_now();
            assert!(mutex.try_lock().is_none());
        })
    });
    yield_now();
    drop(guard);
    // It was handed over: who asks now is too late.
    assert!(mutex.try_lock().is_none());
    threads.iter().for_each(Thread::join);
    assert_eq!(log.take(), ["a1", "b2", "c3"]);
    assert_eq!(*mutex.try_lock().unwrap(), 3);
}

#[test]
fn a_mutex_is_waited_for_until_a_time() {
    boot();
    let mutex = Arc::new(Mutex::new(()));
    let holder = run("holder", 4, {
        let mutex = mutex.clone();
        move || {
            let _guard = mutex.lock();
            sleep(ms(50));
        }
    });
    assert!(mutex.lock_until(ms(20)).is_none());
    assert_eq!(time::now(), ms(20));
    assert!(mutex.lock_until(ms(100)).is_some());
    assert_eq!(time::now(), ms(51));
    holder.join();
    assert!(mutex.try_lock().is_some());
}

#[test]
fn who_gave_up_waiting_leaves_the_others_in_their_order() {
    boot();
    let log = Log::default();
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock();
    let threads = [("a", 100), ("b", 5), ("c", 100)].map(|(name, until)| {
        let (mutex, log) = (mutex.clone(), log.clone());
        run(name, 3, move || {
            let got = mutex.lock_until(ms(until)).is_some();
            log.note(format!("{name} {got}"));
        })
    });
    sleep(ms(10));
    drop(guard);
    threads.iter().for_each(Thread::join);
    assert_eq!(log.take(), ["b false", "a true", "c true"]);
}

#[test]
fn a_wake_meant_for_a_park_survives_a_mutex() {
    boot();
    let mutex = Arc::new(Mutex::new(()));
    let guard = mutex.lock();
    let thread = run("both", 3, {
        let mutex = mutex.clone();
        move || {
            drop(mutex.lock());
            park();
        }
    });
    yield_now();
    thread.wake();
    yield_now();
    drop(guard);
    thread.join();
}

#[test]
fn a_mutex_protects_what_is_read_and_written_across_turns() {
    boot();
    let mutex = Arc::new(Mutex::new(0u32));
    let threads: std::vec::Vec<_> = (0..8)
        .map(|_| {
            let mutex = mutex.clone();
            run("adder", 3, move || {
                for _ in 0..times(20) {
                    let mut value = mutex.lock();
                    let old = *value;
                    compute(3);
                    *value = old + 1;
                }
            })
        })
        .collect();
    threads.iter().for_each(Thread::join);
    assert_eq!(*mutex.lock(), 8 * times(20));
}

#[test]
fn a_semaphore_gives_to_who_waits_and_keeps_what_nobody_takes() {
    boot();
    let semaphore = Arc::new(Semaphore::new(1));
    assert!(semaphore.try_take());
    assert!(!semaphore.try_take());
    assert!(!semaphore.take_until(ms(5)));
    let taker = run("taker", 3, {
        let semaphore = semaphore.clone();
        move || semaphore.take()
    });
    yield_now();
    semaphore.give();
    assert!(!semaphore.try_take());
    taker.join();
    semaphore.give();
    assert!(semaphore.take_until(ms(100)));
}

#[test]
fn a_completion_lets_all_go_on_and_later_ones_too() {
    boot();
    let done = Arc::new(Completion::new());
    assert!(!done.wait_until(ms(5)));
    let threads = [1, 2, 3].map(|priority| {
        let done = done.clone();
        run("waits", priority, move || done.wait())
    });
    sleep(ms(5));
    done.complete();
    threads.iter().for_each(Thread::join);
    done.wait();
    assert!(done.is_complete());
    done.reset();
    assert!(!done.wait_until(ms(50)));
}

#[test]
fn a_wait_queue_waits_for_a_condition_whatever_wakes_it() {
    boot();
    let queue = Arc::new(WaitQueue::new());
    let value = Arc::new(atomic::AtomicU32::new(0));
    let read = {
        let value = value.clone();
        move || value.load(atomic::Ordering::SeqCst)
    };
    let thread = run("waits", 3, {
        let (queue, read) = (queue.clone(), read.clone());
        move || queue.wait_while(|| read() < 2)
    });
    yield_now();
    for expected in [false, true] {
        value.fetch_add(1, atomic::Ordering::SeqCst);
        queue.wake_all();
        yield_now();
        assert_eq!(thread.state() == crate::State::Ended, expected);
    }
    assert!(!queue.wait_while_until(|| read() < 3, ms(30)));
    assert!(queue.wait_while_until(|| read() < 2, ms(30)));
    current().wake();
    park();
}

#[test]
#[should_panic(expected = "sleeps with interrupts masked")]
fn sleeping_with_interrupts_masked_is_noticed() {
    boot();
    let _masked = arch::IrqsOff::now();
    park();
}

#[test]
#[should_panic(expected = "a thread of this test panicked")]
fn a_thread_that_panics_fails_its_test() {
    boot();
    run("fails", 3, || panic!("on purpose")).join();
}

#[test]
fn no_one_in_between_delays_who_waits_for_a_spin_lock() {
    boot();
    let log = Log::default();
    let spin: Arc<Spin<()>> = Arc::new(Spin::new(()));
    let urgent = run("urgent", 6, {
        let (spin, log) = (spin.clone(), log.clone());
        move || {
            park();
            let _held = spin.lock();
            log.note("urgent has it");
        }
    });
    let between = run("between", 5, {
        let log = log.clone();
        move || {
            park();
            log.note("between computes");
            compute(50);
        }
    });
    let least = run("least", 4, {
        let (urgent, between, log) = (urgent.clone(), between.clone(), log.clone());
        move || {
            let held = spin.lock();
            // Both are more urgent, and would run at once.
            between.wake();
            urgent.wake();
            compute(20);
            log.note("least gives it back");
            drop(held);
            log.note("least again");
        }
    });
    for thread in [&urgent, &between, &least] {
        thread.join();
    }
    assert_eq!(log.take(), ["least gives it back", "urgent has it", "between computes", "least again"]);
}
