//! Who asks a virtual CPU to stay out of its guest, against its thread that is about to enter.

use std::sync::Arc;

use loom::thread;

#[path = "../../../vm/machine/src/resting.rs"]
mod resting_source;

use super::mailbox::mailbox_source::{Asked, Mailbox};
use resting_source::Resting;

#[test]
fn who_asked_and_sees_it_rest_does_not_see_it_enter() {
    crate::check(|| {
        let vcpu = Arc::new((Resting::new(), Mailbox::default()));
        let asker = {
            let vcpu = vcpu.clone();
            thread::spawn(move || {
                vcpu.1.ask(Asked::HOLD);
                vcpu.0.is_resting()
            })
        };
        let entered = vcpu.0.leave(|| !vcpu.1.asked().is_nothing());
        let rested = asker.join().unwrap();
        assert!(!(entered && rested), "it was seen to rest, and entered its guest");
    });
}

#[test]
fn who_comes_back_is_seen_to_rest_in_the_end() {
    crate::check(|| {
        let vcpu = Arc::new((Resting::new(), Mailbox::default()));
        let runs = {
            let vcpu = vcpu.clone();
            thread::spawn(move || {
                if vcpu.0.leave(|| !vcpu.1.asked().is_nothing()) {
                    // Brought out of its guest.
                    vcpu.0.begin();
                }
            })
        };
        vcpu.1.ask(Asked::HOLD);
        runs.join().unwrap();
        assert!(vcpu.0.is_resting());
    });
}
