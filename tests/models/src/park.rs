//! Parking and waking: the phase of a thread, under its CPU's lock, against those who leave tokens.

use std::sync::Arc;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;

#[path = "../../../host/thread/src/phase.rs"]
mod phase;

use phase::{Found, Phase};

/// A thread and its CPU: the lock, and what stands for the switch to it.
struct Cpu {
    phase: Phase,
    /// Whether the thread was made ready; the CPU's lock is around it.
    ready: Mutex<bool>,
    switched: Condvar,
    /// What the thread waits for.
    done: [AtomicBool; 2],
}

impl Cpu {
    fn new() -> Arc<Self> {
        let done = [AtomicBool::new(false), AtomicBool::new(false)];
        let (ready, switched) = (Mutex::new(false), Condvar::new());
        Arc::new(Self { phase: Phase::new(Phase::RUNNING), ready, switched, done })
    }

    /// As `host_thread::park`.
    fn park(&self) {
        let mut ready = self.ready.lock().unwrap();
        if self.phase.park() {
            // The switch to others, and back when the thread is ready.
            while !*ready {
                ready = self.switched.wait(ready).unwrap();
            }
            *ready = false;
            assert!(self.phase.claim());
        }
    }

    /// As `wake` in `host_thread`.
    fn wake(&self) {
        if wants_cpu(&self.phase) {
            let mut ready = self.ready.lock().unwrap();
            self.phase.make_ready();
            assert!(!*ready, "made ready twice");
            *ready = true;
            self.switched.notify_one();
        }
    }
}

/// Leaves a token; whether the thread is the caller's to make ready.
fn wants_cpu(phase: &Phase) -> bool {
    phase.leave_token() == Found::Parked
}

#[test]
fn a_wake_is_not_lost_however_it_meets_the_park() {
    crate::check(|| {
        let cpu = Cpu::new();
        let waker = {
            let cpu = cpu.clone();
            thread::spawn(move || {
                cpu.done[0].store(true, Ordering::Relaxed);
                cpu.wake();
            })
        };
        // If a wake were lost this would wait for ever, which the checker notices. What was stored before the wake is
        // seen after the park, though nothing else orders it.
        while !cpu.done[0].load(Ordering::Relaxed) {
            cpu.park();
        }
        waker.join().unwrap();
    });
}

#[test]
fn of_two_wakes_one_makes_ready_and_neither_is_lost() {
    crate::check(|| {
        let cpu = Cpu::new();
        let wakers = [0, 1].map(|number: usize| {
            let cpu = cpu.clone();
            thread::spawn(move || {
                cpu.done[number].store(true, Ordering::Relaxed);
                cpu.wake();
            })
        });
        while !cpu.done.iter().all(|done| done.load(Ordering::Relaxed)) {
            cpu.park();
        }
        for waker in wakers {
            waker.join().unwrap();
        }
    });
}

#[test]
fn a_thread_that_is_preempted_keeps_its_token() {
    crate::check(|| {
        let cpu = Cpu::new();
        let waker = {
            let cpu = cpu.clone();
            thread::spawn(move || cpu.wake())
        };
        {
            // Preempted, and chosen again, under the lock.
            let _lock = cpu.ready.lock().unwrap();
            cpu.phase.preempt();
            assert!(cpu.phase.claim());
        }
        waker.join().unwrap();
        // The wake came, so this does not wait.
        assert!(!cpu.phase.park());
    });
}
