use alloc::boxed::Box;
use alloc::format;
use core::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use host_sync::PreemptGuard;

use super::{Log, boot, compute, level, ms, run, times};
use crate::policy::{Contest, Hint, Policy, Running, Slot, Verdict};
use crate::{
    Kind, Options, Priority, State, current, list, park, policies, set_policy, sleep, spawn, time, yield_now,
};

#[test]
fn a_thread_runs_and_can_be_joined() {
    boot();
    let log = Log::default();
    let thread = run("worker", 3, {
        let log = log.clone();
        move || log.note(current().name())
    });
    assert_eq!(thread.state(), State::Ready);
    thread.join();
    assert_eq!(thread.state(), State::Ended);
    assert_eq!(log.take(), ["worker"]);
    thread.join();
}

#[test]
fn threads_of_one_priority_take_turns_of_a_time_slice() {
    boot();
    let log = Log::default();
    let threads = ["a", "b", "c"].map(|name| {
        let log = log.clone();
        run(name, 3, move || {
            for _ in 0..3 {
                log.note(name);
                compute(10);
            }
        })
    });
    threads.iter().for_each(crate::Thread::join);
    assert_eq!(log.take(), ["a", "b", "c", "a", "b", "c", "a", "b", "c"]);
}

#[test]
fn the_first_thread_takes_turns_like_any_other() {
    boot();
    let log = Log::default();
    let other = run("other", 3, {
        let log = log.clone();
        move || log.note("other")
    });
    compute(9);
    log.note("init, 9 ms");
    compute(2);
    log.note("init, 11 ms");
    other.join();
    assert_eq!(log.take(), ["init, 9 ms", "other", "init, 11 ms"]);
}

#[test]
fn a_thread_alone_at_its_priority_is_not_disturbed() {
    boot();
    let thread = run("alone", 3, || compute(1000));
    thread.join();
    // Once it began, nobody took its CPU.
    assert_eq!(list().iter().find(|info| info.name == "alone").map(|info| info.stats.switches), None);
    let again = run("alone again", 3, || {
        compute(1000);
        assert_eq!(current().stats().switches, 1);
        assert_eq!(current().stats().running, ms(1000));
    });
    again.join();
}

#[test]
fn a_more_urgent_thread_runs_at_once_when_it_is_made_or_woken() {
    boot();
    let log = Log::default();
    let urgent = run("urgent", 6, {
        let log = log.clone();
        move || {
            log.note("made");
            park();
            log.note("woken");
        }
    });
    log.note("after making");
    urgent.wake();
    log.note("after waking");
    urgent.join();
    assert_eq!(log.take(), ["made", "after making", "woken", "after waking"]);
}

#[test]
fn a_less_urgent_thread_waits_until_the_others_park() {
    boot();
    let log = Log::default();
    let lazy = run("lazy", 1, {
        let log = log.clone();
        move || log.note("lazy")
    });
    compute(100);
    yield_now();
    log.note("init");
    lazy.join();
    assert_eq!(log.take(), ["init", "lazy"]);
}

#[test]
fn a_timer_that_wakes_an_urgent_thread_preempts_the_running_one() {
    boot();
    let log = Log::default();
    let sleeper = run("sleeper", 6, {
        let log = log.clone();
        move || {
            sleep(ms(5));
            log.note(format!("sleeper at {}", time::now().0 / 1_000_000));
        }
    });
    let begin = time::now();
    assert_eq!(begin, ms(1));
    compute(20);
    log.note(format!("init at {}", time::now().0 / 1_000_000));
    sleeper.join();
    assert_eq!(log.take(), ["sleeper at 6", "init at 21"]);
}

#[test]
fn who_was_preempted_keeps_the_rest_of_its_turn() {
    boot();
    let log = Log::default();
    let ticker = run("ticker", 7, || {
        for _ in 0..40 {
            sleep(ms(1));
        }
    });
    let threads = ["a", "b"].map(|name| {
        let log = log.clone();
        run(name, 3, move || {
            for _ in 0..2 {
                log.note(name);
                compute(10);
            }
        })
    });
    threads.iter().for_each(crate::Thread::join);
    // The ticker disturbs every millisecond, and the turns are ten milliseconds all the same.
    assert_eq!(log.take(), ["a", "b", "a", "b"]);
    ticker.join();
}

#[test]
fn a_wake_before_the_park_is_not_lost() {
    boot();
    current().wake();
    current().wake();
    park();
    let parked = Arc::new(AtomicBool::new(false));
    let thread = run("parks", 3, {
        let parked = parked.clone();
        move || {
            park();
            parked.store(true, Ordering::SeqCst);
        }
    });
    // It has not run yet, and is woken: that counts for its first park.
    thread.wake();
    thread.join();
    assert!(parked.load(Ordering::SeqCst));
}

#[test]
fn a_wake_of_a_preempted_thread_counts_for_its_next_park() {
    boot();
    let thread = run("preempted", 4, || {
        compute(3);
        park();
    });
    // Made more urgent than init, it ran into its park before; make another that is preempted in between.
    thread.wake();
    thread.join();
    let low = run("low", 2, || {
        compute(10);
        park();
    });
    sleep(ms(5));
    assert_eq!(low.state(), State::Ready);
    low.wake();
    low.join();
}

#[test]
fn a_guard_against_preemption_puts_the_switch_off_and_not_away() {
    boot();
    let log = Log::default();
    let urgent = run("urgent", 6, {
        let log = log.clone();
        move || {
            park();
            log.note("urgent");
        }
    });
    let guard = PreemptGuard::new();
    urgent.wake();
    log.note("guarded");
    drop(guard);
    log.note("free");
    urgent.join();
    assert_eq!(log.take(), ["guarded", "urgent", "free"]);
}

#[test]
fn a_wake_with_interrupts_masked_switches_when_they_come_back() {
    boot();
    let log = Log::default();
    let urgent = run("urgent", 6, {
        let log = log.clone();
        move || {
            park();
            log.note("urgent");
        }
    });
    let masked = arch::IrqsOff::now();
    urgent.wake();
    log.note("masked");
    drop(masked);
    log.note("unmasked");
    urgent.join();
    assert_eq!(log.take(), ["masked", "urgent", "unmasked"]);
}

#[test]
fn a_changed_priority_counts_at_once() {
    boot();
    let log = Log::default();
    let other = run("other", 2, {
        let log = log.clone();
        move || {
            log.note("other");
            park();
        }
    });
    other.set_priority(level(5));
    log.note("init");
    assert_eq!(other.priority(), level(5));
    current().set_priority(level(6));
    other.wake();
    log.note("still init");
    other.join();
    assert_eq!(other.priority(), Priority::LOWEST);
    assert_eq!(log.take(), ["other", "init", "still init"]);
}

#[test]
fn a_thousand_threads_come_and_go() {
    boot();
    let count = Arc::new(AtomicU32::new(0));
    for round in 0..times(10) {
        let threads: std::vec::Vec<_> = (0..times(100) as u8)
            .map(|n| {
                let count = count.clone();
                run("one of many", n % 8, move || {
                    yield_now();
                    count.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        threads.iter().for_each(crate::Thread::join);
        assert_eq!(count.load(Ordering::Relaxed), (round + 1) * times(100));
    }
    // Their places are used again.
    let mine = list().into_iter().filter(|info| info.cpu == current().cpu()).count();
    assert_eq!(mine, 2);
}

#[test]
fn the_list_says_who_there_is_and_what_became_of_its_time() {
    boot();
    let thread = spawn(
        Options::new("guest0/vcpu0").priority(level(5)).kind(Kind::Vcpu).time_slice(ms(7)).stack(16 << 10),
        Box::new(|| {
            compute(2);
            sleep(ms(3));
            park();
        }),
    )
    .unwrap();
    sleep(ms(10));
    let mine = |name: &str| list().into_iter().find(|info| info.name == name && info.cpu == current().cpu());
    let info = mine("guest0/vcpu0").unwrap();
    assert_eq!(
        (info.id, info.attributes.kind, info.attributes.priority),
        (thread.id(), Kind::Vcpu, level(5))
    );
    assert_eq!((info.attributes.time_slice, info.state), (ms(7), State::Parked));
    assert_eq!((info.stats.running, info.stats.parked), (ms(2), ms(10)));
    assert_eq!(mine("init").unwrap().state, State::Running);
    assert_eq!(mine("idle").unwrap().stats.running, ms(10));
    thread.wake();
    thread.join();
}

/// Says that everybody is next, and every other time that it matters, whether it is true or not.
struct Liar(u32, Cell<bool>);

impl Policy for Liar {
    fn name(&self) -> &'static str {
        "liar"
    }
    fn reserve(&mut self, _: usize) {}
    fn ready(&mut self, _: Slot, _: Hint, _: arch::Nanos) {}
    fn gone(&mut self, _: Slot) {}
    fn next(&mut self, _: arch::Nanos) -> Option<Slot> {
        self.0 = (self.0 + 1) % 7;
        Some(Slot(self.0))
    }
    fn is_empty(&self) -> bool {
        false
    }
    fn contest(&mut self, _: Running, _: arch::Nanos) -> Contest {
        let verdict = if self.1.replace(!self.1.get()) { Verdict::Preempt } else { Verdict::Alone };
        // Which is long ago.
        verdict.until(arch::Nanos(1))
    }
}

#[test]
fn a_policy_that_lies_is_unfair_and_nothing_worse() {
    boot();
    set_policy(current().cpu(), Box::new(Liar(0, Cell::new(false)))).unwrap();
    let threads = [1, 2, 3].map(|n| {
        run("believer", n, || {
            for _ in 0..times(20) {
                sleep(ms(1));
                yield_now();
            }
        })
    });
    threads.iter().for_each(crate::Thread::join);
    let state = policies().into_iter().find(|state| state.cpu == current().cpu()).unwrap();
    assert_eq!(state.name, "liar");
    assert!(state.faults > 0);
}

/// Puts this CPU into the hands of the policy `name`.
fn under(name: &str) {
    boot();
    let scheduler = crate::policy::find(name).unwrap();
    set_policy(current().cpu(), (scheduler.make)()).unwrap();
}

/// A thread that computes for `n` milliseconds, a millisecond at a time.
fn busy(options: Options, n: u64) -> crate::Thread {
    spawn(options, Box::new(move || (0..n).for_each(|_| compute(1)))).unwrap()
}

#[test]
fn a_cap_leaves_the_processor_idle() {
    under("share");
    let thread = busy(Options::new("capped"), 100);
    thread.change(|attributes| attributes.cap = 25).unwrap();
    thread.join();
    // A quarter of the time, in pieces of 25 ms; the last one ends when its work does.
    let took = time::now();
    assert!(took >= ms(320) && took <= ms(420), "{took:?}");
}

#[test]
fn a_budget_comes_back_with_the_period() {
    under("deadline");
    let attributes =
        crate::Attributes { time_slice: ms(10), period: Some(ms(50)), ..crate::Attributes::new(Kind::Vcpu) };
    let thread = busy(Options::new("guaranteed").attributes(attributes), 50);
    let background = busy(Options::new("background"), 100);
    background.join();
    assert_eq!(thread.stats().running, ms(30));
    thread.join();
    let took = time::now();
    assert!(took >= ms(210) && took <= ms(260), "{took:?}");
}

#[test]
fn a_set_that_cannot_be_admitted_is_refused_and_leaves_nothing() {
    under("deadline");
    let attributes =
        crate::Attributes { time_slice: ms(60), period: Some(ms(100)), ..crate::Attributes::new(Kind::Vcpu) };
    let options = Options::new("guaranteed").attributes(attributes);
    let first = spawn(options.clone(), Box::new(park)).unwrap();
    let refused = spawn(options.clone(), Box::new(park)).unwrap_err();
    assert!(format!("{refused}").contains("25.0 % above the limit of 95.0 %"), "{refused}");
    let why = first.change(|attributes| attributes.time_slice = ms(99)).unwrap_err();
    assert!(why.0.contains("4.0 % above"), "{why}");
    assert_eq!(first.attributes().map(|attributes| attributes.time_slice), Some(ms(60)));
    first.wake();
    first.join();
    spawn(options, Box::new(|| {})).unwrap().join();
}

#[test]
fn a_policy_that_refuses_who_is_there_is_not_taken() {
    boot();
    let threads = ["a", "b"].map(|name| spawn(Options::new(name).kind(Kind::Vcpu), Box::new(park)).unwrap());
    let partition = crate::policy::find("partition").unwrap();
    let why = set_policy(current().cpu(), (partition.make)()).unwrap_err();
    assert_eq!(why, "b: the CPU belongs to another vCPU");
    yield_now();
    threads.iter().for_each(crate::Thread::wake);
    threads.iter().for_each(crate::Thread::join);
    set_policy(current().cpu(), (partition.make)()).unwrap();
}
