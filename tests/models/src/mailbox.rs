//! The mailbox of a virtual CPU against the kick that brings it out of its guest.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};
use loom::thread;

#[path = "../../../vm/vcpu/src/mailbox.rs"]
pub(crate) mod mailbox_source;

use mailbox_source::{Asked, Mailbox};

/// A virtual CPU: what is asked of it, and the interrupt that ends its guest. With interrupts masked it stays
/// pending, and the guest ends at once. It reaches the CPU after what its sender stored before, as hardware has it.
#[derive(Default)]
struct Vcpu {
    mailbox: Mailbox,
    interrupt: Mutex<bool>,
    arrives: Condvar,
}

impl Vcpu {
    /// As the run loop: looks, enters, and is brought back.
    fn run(&self) -> Asked {
        loop {
            let asked = self.mailbox.asked();
            if !asked.is_nothing() {
                return asked;
            }
            let mut interrupt = self.interrupt.lock().unwrap();
            while !*interrupt {
                interrupt = self.arrives.wait(interrupt).unwrap();
            }
            *interrupt = false;
        }
    }

    fn ask(&self, what: Asked) {
        self.mailbox.ask(what);
        *self.interrupt.lock().unwrap() = true;
        self.arrives.notify_one();
    }
}

#[test]
fn what_is_asked_brings_the_guest_back_and_is_found() {
    crate::check(|| {
        let vcpu = Arc::new(Vcpu::default());
        let asker = {
            let vcpu = vcpu.clone();
            thread::spawn(move || vcpu.ask(Asked::PAUSE))
        };
        assert_eq!(vcpu.run(), Asked::PAUSE);
        asker.join().unwrap();
    });
}

#[test]
fn what_two_ask_is_all_done() {
    crate::check(|| {
        let vcpu = Arc::new(Vcpu::default());
        let askers = [Asked::SHOW, Asked::HALT].map(|what| {
            let vcpu = vcpu.clone();
            thread::spawn(move || vcpu.ask(what))
        });
        let mut left = Asked::SHOW | Asked::HALT;
        while !left.is_nothing() {
            let asked = vcpu.run();
            // Only what was seen is reported as done.
            vcpu.mailbox.clear(asked);
            left = left.without(asked);
        }
        for asker in askers {
            asker.join().unwrap();
        }
        assert!(vcpu.mailbox.asked().is_nothing());
    });
}
