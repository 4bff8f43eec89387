//! The pins of an emulated interrupt controller: lines that rise and fall against the CPU that looks.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

/// What the file finds above itself.
mod state {
    pub(super) const FIRST_SPI: u32 = 32;

    #[derive(Clone, Copy)]
    pub(super) struct CpuIndex(pub(super) u32);

    impl CpuIndex {
        pub(super) fn get(self) -> u32 {
            self.0
        }
    }
}

#[path = "../../../emulators/src/irqchip/pins.rs"]
mod pins_source;

use pins_source::{Inputs, Place};

use crate::VcpuWaker;
use crate::irq::Pins;

/// Counts how often the virtual CPU was woken.
#[derive(Default)]
struct Counter(AtomicU32);

impl VcpuWaker for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
    fn wake_at(&self, _: crate::Nanos) {}
}

const PIN: u32 = 33;
const MASK: u32 = 2;

fn inputs() -> (Arc<Inputs>, Arc<Counter>) {
    let (inputs, counter) = (Arc::new(Inputs::new(1, 1)), Arc::new(Counter::default()));
    inputs.bells()[0].connect(counter.clone());
    (inputs, counter)
}

#[test]
fn a_line_that_rises_while_it_begins_to_be_watched_is_seen_by_one_of_the_two() {
    crate::check(|| {
        let (inputs, counter) = inputs();
        let device = {
            let inputs = inputs.clone();
            thread::spawn(move || inputs.set(PIN, true))
        };
        // The CPU enables the interrupt: it says that it watches, then looks.
        inputs.watch(Place::Shared(0), MASK);
        let mut seen = inputs.drain(Place::Shared(0)).rose & MASK != 0;
        device.join().unwrap();
        if !seen {
            // Then the device has rung, and the CPU looks again.
            assert_eq!(counter.0.load(Ordering::SeqCst), 1);
            inputs.bells()[0].answer();
            seen = inputs.drain(Place::Shared(0)).rose & MASK != 0;
        }
        assert!(seen);
    });
}

#[test]
fn a_line_that_rises_while_the_cpu_looks_calls_again_or_was_seen() {
    crate::check(|| {
        let (inputs, counter) = inputs();
        inputs.watch(Place::Shared(0), MASK | 4);
        inputs.set(PIN, true);
        let device = {
            let inputs = inputs.clone();
            thread::spawn(move || inputs.set(PIN + 1, true))
        };
        // The CPU answers the first call before it looks.
        inputs.bells()[0].answer();
        let first = inputs.drain(Place::Shared(0)).rose;
        device.join().unwrap();
        assert!(first & MASK != 0);
        if first & 4 == 0 {
            assert_eq!(counter.0.load(Ordering::SeqCst), 2);
            assert!(inputs.drain(Place::Shared(0)).rose & 4 != 0);
        }
    });
}

#[test]
fn two_lines_of_a_block_do_not_lose_each_other() {
    crate::check(|| {
        let (inputs, _) = inputs();
        inputs.watch(Place::Shared(0), MASK | 4);
        let device = {
            let inputs = inputs.clone();
            thread::spawn(move || {
                inputs.set(PIN, true);
                inputs.set(PIN, false);
            })
        };
        inputs.set(PIN + 1, true);
        device.join().unwrap();
        let news = inputs.drain(Place::Shared(0));
        assert_eq!((news.rose, news.level, news.changed), (MASK | 4, 4, MASK | 4));
    });
}
