//! The lock that spins.

#![expect(
    clippy::arc_with_non_send_sync,
    reason = "the checker's cell is neither, so that the checker and not the compiler finds two at it"
)]

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

#[path = "../../../host/sync/src/flag.rs"]
mod flag;

use flag::Flag;

/// A counter behind a lock; the checker notices when two are at it.
struct Guarded {
    flag: Flag,
    count: UnsafeCell<u32>,
}

fn relax() {
    thread::yield_now();
}

impl Guarded {
    fn add(&self) {
        self.count.with_mut(|_| ());
    }
}

#[test]
fn a_spin_lock_lets_one_in_at_a_time() {
    crate::check(|| {
        let guarded = Arc::new(Guarded { flag: Flag::new(), count: UnsafeCell::new(0) });
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || {
                guarded.flag.take(relax);
                guarded.add();
                guarded.flag.give();
            })
        };
        guarded.flag.take(relax);
        guarded.add();
        guarded.flag.give();
        other.join().unwrap();
    });
}

#[test]
fn who_tries_and_fails_is_not_in() {
    crate::check(|| {
        let guarded = Arc::new(Guarded { flag: Flag::new(), count: UnsafeCell::new(0) });
        let other = {
            let guarded = guarded.clone();
            thread::spawn(move || {
                if guarded.flag.try_take() {
                    guarded.add();
                    guarded.flag.give();
                }
            })
        };
        guarded.flag.take(relax);
        guarded.add();
        guarded.flag.give();
        other.join().unwrap();
    });
}
