//! Tests on the development machine, in virtual time.

mod locks;
mod processors;
mod rwlock;
mod scheduling;
mod timing;
mod work;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use std::sync::{Arc, Mutex as StdMutex};

use arch::{Cpu, Machine, Nanos};

use crate::{Options, Priority, Thread, spawn, start};

/// What happened, in its order.
#[derive(Clone, Default)]
struct Log(Arc<StdMutex<Vec<String>>>);

impl Log {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
    fn take(&self) -> Vec<String> {
        core::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Makes the test's thread the first one of a machine.
fn boot() {
    Machine::on_interrupt(crate::simple_entry);
    start().unwrap();
}

fn ms(n: u64) -> Nanos {
    Nanos::from_millis(n)
}

/// So often, or a tenth of it under Miri, which is slow.
fn times(often: u32) -> u32 {
    if cfg!(miri) { often.div_ceil(10) } else { often }
}

/// Computes for `n` milliseconds.
fn compute(n: u64) {
    arch_hosted::time::advance(ms(n));
}

fn level(n: u8) -> Priority {
    Priority::new(n).unwrap()
}

fn run(name: &str, priority: u8, body: impl FnOnce() + Send + 'static) -> Thread {
    spawn(Options::new(name).priority(level(priority)), Box::new(body)).unwrap()
}
