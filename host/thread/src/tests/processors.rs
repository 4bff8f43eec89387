//! Several processors: each is a thread of the operating system that calls in.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};

use arch::{IrqsOff, LocalIrqs, Machine};

use super::{boot, run};
use crate::{current, park, set_kick};

fn kick(cpu: arch::CpuId) {
    Machine::send(&IrqsOff::now(), u64::from(cpu.0), 1);
}

#[test]
fn a_wake_from_another_processor_arrives_however_it_races_with_the_park() {
    set_kick(kick);
    let rounds = if cfg!(miri) { 20 } else { 2000 };
    let (mine, theirs) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (to_us, from_them) = mpsc::channel();
    let (to_them, from_us) = mpsc::channel::<crate::Thread>();
    let side = |own: Arc<AtomicU32>, others: Arc<AtomicU32>, first: bool| {
        move |peer: crate::Thread| {
            for round in 1..=rounds {
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
