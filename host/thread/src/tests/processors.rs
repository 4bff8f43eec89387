//! Several processors: each is a thread of the operating system that calls in.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex as StdMutex, mpsc};

use arch::{CpuId, IrqsOff, LocalIrqs, Machine, Processors};

use super::{boot, ms, run, times};
use crate::processors::{self, IdleStack, NotStopped};
use crate::{CpuSet, Options, SpawnError, current, park, set_kick, sleep};

fn kick(cpu: arch::CpuId) {
    Machine::send(&IrqsOff::now(), cpu, 1);
}

#[test]
fn a_wake_from_another_processor_arrives_however_it_races_with_the_park() {
    set_kick(kick);
    let all = if cfg!(miri) { 20 } else { 2000 };
    let (mine, theirs) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (to_us, from_them) = mpsc::channel();
    let (to_them, from_us) = mpsc::channel::<crate::Thread>();
    let side = |own: Arc<AtomicU32>, others: Arc<AtomicU32>, first: bool| {
        move |peer: crate::Thread| {
            for round in 1..=all {
                if first {
                    others.store(round, Ordering::SeqCst);
                    peer.wake();
                }
                while own.load(Ordering::SeqCst) < round {
                    park();
                }
                if !first {
                    others.store(round, Ordering::SeqCst);
                    peer.wake();
                }
            }
        }
    };
    let there = side(theirs.clone(), mine.clone(), false);
    let here = side(mine, theirs, true);
    let other = std::thread::spawn(move || {
        boot();
        to_us.send(current()).unwrap();
        there(from_us.recv().unwrap());
    });
    boot();
    to_them.send(current()).unwrap();
    here(from_them.recv().unwrap());
    other.join().unwrap();
}

#[test]
fn a_thread_of_another_processor_can_be_joined() {
    set_kick(kick);
    let (send, receive) = mpsc::channel();
    let other = std::thread::spawn(move || {
        boot();
        let thread = run("over there", 4, park);
        send.send(thread.clone()).unwrap();
        thread.join();
    });
    boot();
    let thread = receive.recv().unwrap();
    assert_ne!(thread.cpu(), current().cpu());
    thread.wake();
    thread.join();
    other.join().unwrap();
}

extern "C" fn second_begins() -> ! {
    crate::processors::run_idle(IrqsOff::now())
}

fn second_ends(_: &IrqsOff) -> ! {
    arch_hosted::processors::off()
}

/// Brings a further processor of this test's machine up, and waits until threads may go there.
#[expect(unsafe_code, reason = "the contract hands a stack to a processor that begins")]
fn second() -> CpuId {
    static NEXT: AtomicU64 = AtomicU64::new(0x1_0000);
    set_kick(kick);
    arch_hosted::time::use_real_clock();
    let stack = IdleStack::new().unwrap();
    let hardware_id = NEXT.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the development machine has no use for the stack, and the processor is new.
    let start = unsafe { Machine::prepare_cpu(hardware_id, stack.top(), second_begins) }.unwrap();
    processors::prepare(start.cpu, stack);
    assert!(arch_hosted::processors::begin(start));
    while !crate::online().contains(start.cpu) {
        sleep(ms(1));
    }
    start.cpu
}

#[test]
fn a_thread_goes_where_it_is_sent_and_keeps_its_wakes_and_alarms() {
    boot();
    let (here, there) = (current().cpu(), second());
    let all = times(80);
    let (rounds, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(StdMutex::new(std::vec::Vec::new())));
    let (count, log) = (rounds.clone(), seen.clone());
    let thread = run("wanderer", 4, move || {
        while count.load(Ordering::SeqCst) < all {
            park();
            log.lock().unwrap().push(current().cpu());
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for round in 0..all {
        let target = if round % 2 == 0 { there } else { here };
        // A deadline that was set on the old processor rings on the new one.
        if round % 4 == 3 {
            thread.alarm(Some(crate::time::now().after(ms(3))));
            thread.move_to(target).unwrap();
        } else {
            thread.move_to(target).unwrap();
            thread.wake();
        }
        while rounds.load(Ordering::SeqCst) == round {
            sleep(ms(1));
        }
        assert_eq!(seen.lock().unwrap().last(), Some(&target), "round {round}");
    }
    thread.join();
}

#[test]
fn a_wake_that_races_with_a_move_is_not_lost() {
    boot();
    let (here, there) = (current().cpu(), second());
    let rounds = if cfg!(miri) { 10 } else { 300 };
    let done = Arc::new(AtomicU32::new(0));
    let count = done.clone();
    let thread = run("racer", 4, move || {
        while count.load(Ordering::SeqCst) < rounds {
            park();
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    for round in 0..rounds {
        thread.send(if round % 2 == 0 { there } else { here }).unwrap();
        thread.wake();
        let limit = crate::time::now().after(ms(5000));
        while done.load(Ordering::SeqCst) <= round {
            assert!(crate::time::now() < limit, "round {round}: {:?} on {}", thread.state(), thread.cpu());
            crate::yield_now();
        }
    }
    thread.join();
}

#[test]
fn who_takes_a_thread_somewhere_sees_it_there_whatever_a_daemon_wishes() {
    boot();
    let (here, there) = (current().cpu(), second());
    let done = Arc::new(AtomicU32::new(0));
    let is_done = |done: &Arc<AtomicU32>| done.load(Ordering::SeqCst) != 0;
    let ends = done.clone();
    let thread = run("moved", 4, move || {
        while !is_done(&ends) {
            sleep(ms(1));
        }
    });
    let (ends, wished) = (done.clone(), thread.clone());
    let options = Options::new("daemon").priority(crate::Priority::HIGHEST).affinity(CpuSet::of(there));
    let daemon = move || {
        while !is_done(&ends) {
            // Refused at times, which is what this is about.
            let _ = crate::send(wished.id(), here);
            crate::yield_now();
        }
    };
    let daemon = crate::spawn(options, std::boxed::Box::new(daemon)).unwrap();
    for round in 0..times(20) {
        assert_eq!(thread.move_to(there), Ok(()), "round {round}");
        sleep(ms(2));
    }
    done.store(1, Ordering::SeqCst);
    thread.join();
    daemon.join();
}

#[test]
fn a_processor_that_stops_hands_its_threads_and_timers_over() {
    boot();
    let (here, there) = (current().cpu(), second());
    processors::set_last_step(second_ends);
    let woken = Arc::new(AtomicU32::new(0));
    let count = woken.clone();
    let options = Options::new("sleeper").affinity(CpuSet::of(there));
    let body = move || {
        sleep(ms(200));
        count.fetch_add(1, Ordering::SeqCst);
    };
    let thread = crate::spawn(options, std::boxed::Box::new(body)).unwrap();
    assert_eq!(thread.cpu(), there);
    assert_eq!(processors::stop(there).unwrap(), ["sleeper"], "it may not run anywhere else, and is named");
    while crate::online().contains(there) {
        sleep(ms(1));
    }
    assert_eq!(thread.cpu(), here);
    thread.join();
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert_eq!(processors::stop(there), Err(NotStopped::NotOnline));
    assert_eq!(processors::stop(here), Err(NotStopped::Last));
    let nowhere = Options::new("nowhere").affinity(CpuSet::of(there));
    assert!(matches!(crate::spawn(nowhere, std::boxed::Box::new(|| {})), Err(SpawnError::NotOnline(_))));
}

#[test]
fn room_for_a_thread_that_did_not_come_is_there_for_the_next_one() {
    let mut roster = crate::roster::Roster::new();
    for _ in 0..3 {
        roster.make_room_for_one();
        assert_eq!(roster.members.len(), 1);
    }
}

#[test]
fn a_thread_that_moves_while_it_is_ready_leaves_no_trace_in_the_policy() {
    boot();
    let (here, there) = (current().cpu(), second());
    let ran = Arc::new(AtomicU32::new(0));
    for round in 0..4 {
        // Less urgent than this thread: it is ready, and does not run here.
        let count = ran.clone();
        let moved = run("moved", 1, move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        assert_eq!(moved.cpu(), here);
        moved.send(there).unwrap();
        // It takes the slot that has become free.
        let count = ran.clone();
        let next = run("next", 1, move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        moved.join();
        next.join();
        assert_eq!(ran.load(Ordering::SeqCst), 2 * (round + 1));
    }
    let policy = crate::policies().into_iter().find(|policy| policy.cpu == here).unwrap();
    assert_eq!(policy.faults, 0, "it was asked for threads that are not ready");
}
