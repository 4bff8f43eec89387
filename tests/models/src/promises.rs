//! A guest that is being made, against a processor that comes up and has less than guests were told.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

#[path = "../../../arch/parts/src/promises.rs"]
mod promises_source;

use promises_source::Promises;

/// Two registers: what is told is the same in both.
struct Told {
    promises: Promises,
    registers: [AtomicU32; 2],
}

#[test]
fn what_a_guest_is_told_is_of_one_piece_and_stays() {
    crate::check(|| {
        let told =
            Arc::new(Told { promises: Promises::new(), registers: [AtomicU32::new(2), AtomicU32::new(2)] });
        let comes_up = {
            let told = told.clone();
            thread::spawn(move || {
                let less = || told.registers.iter().for_each(|register| register.store(1, Ordering::Relaxed));
                told.promises.change(less).is_some()
            })
        };
        let read = || [0, 1].map(|which: usize| told.registers[which].load(Ordering::Relaxed));
        told.promises.give(thread::yield_now);
        let first = read();
        let runs = comes_up.join().unwrap();
        let later = read();
        told.promises.release();
        assert!(first == [1, 1] || first == [2, 2], "half of it: {first:?}");
        assert_eq!(first, later, "a promise was broken");
        assert_eq!(first == [1, 1], runs, "it has less than the guest was told, and would run it");
    });
}

#[test]
fn who_is_gone_is_no_longer_in_the_way() {
    crate::check(|| {
        let told = Arc::new((Promises::new(), AtomicU32::new(2)));
        let guest = {
            let told = told.clone();
            thread::spawn(move || {
                told.0.give(thread::yield_now);
                let seen = told.1.load(Ordering::Relaxed);
                assert_eq!(told.1.load(Ordering::Relaxed), seen);
                told.0.release();
            })
        };
        let before = told.0.change(|| told.1.store(1, Ordering::Relaxed)).is_some();
        guest.join().unwrap();
        let after = told.0.change(|| told.1.store(0, Ordering::Relaxed));
        assert!(after.is_some(), "{before}");
    });
}
