//! A machine's errand thread: it polls devices whose bell rang, and does what changes the machine's life,
//! one thing after the other. No virtual CPU and no user ever waits for itself this way.

use alloc::collections::VecDeque;

use atomic::{Arc, AtomicU8, Ordering};
use host_sync::{Once, Spin};
use host_thread::{Completion, Thread};
use vm_bus::Work;
use vm_vcpu::PowerRequest;

use crate::LifeError;
use crate::guest::State;
use crate::machine::Machine;

/// What changes a machine's life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Order {
    Kick,
    Pause,
    Resume,
    Reset,
    Halt,
    Destroy,
}

/// What the errand thread is asked to do.
#[derive(Default)]
pub(crate) struct Errands {
    orders: Spin<Orders>,
    /// What the guest itself asked for: 0 nothing, 1 off, 2 reset. The last one counts.
    power: AtomicU8,
    thread: Once<Thread>,
}

/// The orders that were not carried out yet.
#[derive(Default)]
struct Orders {
    queue: VecDeque<Arc<Pending>>,
    /// Nobody will carry any out any more.
    closed: bool,
}

/// An order that somebody waits for.
struct Pending {
    order: Order,
    result: Spin<Option<Result<(), LifeError>>>,
    done: Completion,
}

impl Pending {
    fn complete(&self, result: Result<(), LifeError>) {
        *self.result.lock() = Some(result);
        self.done.complete();
    }
}

impl Errands {
    /// Wakes the thread. From any context.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.wake();
        }
    }

    /// Notes what the guest asked for.
    pub(crate) fn power(&self, request: PowerRequest) {
        let code = if request == PowerRequest::SystemReset { 2 } else { 1 };
        self.power.store(code, Ordering::Release);
        self.wake();
    }

    /// Whether the guest asked for something that was not done yet.
    pub(crate) fn owes_power(&self) -> bool {
        self.power.load(Ordering::Acquire) != 0
    }

    /// What the guest asked for is void. Its CPUs rest.
    pub(crate) fn forget_power(&self) {
        self.power.store(0, Ordering::Release);
    }

    /// Gives an order, and waits until it is done.
    pub(crate) fn order(&self, order: Order) -> Result<(), LifeError> {
        let pending = Arc::new(Pending { order, result: Spin::new(None), done: Completion::new() });
        {
            let mut orders = self.orders.lock();
            if orders.closed {
                return Err(LifeError::Gone);
            }
            orders.queue.push_back(pending.clone());
        }
        self.wake();
        pending.done.wait();
        pending.result.lock().take().unwrap_or(Err(LifeError::Gone))
    }

    pub(crate) fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
        self.wake();
    }

    pub(crate) fn thread(&self) -> Option<&Thread> {
        self.thread.get()
    }

    fn next(&self) -> Option<Arc<Pending>> {
        self.orders.lock().queue.pop_front()
    }
}

/// The thread's body.
pub(crate) fn live(mut machine: Machine) {
    let errands = machine.guest.errands.clone();
    loop {
        while let Some(pending) = errands.next() {
            let result = machine.obey(pending.order);
            if pending.order == Order::Destroy {
                drop(machine);
                pending.complete(result);
                return refuse_the_rest(&errands);
            }
            pending.complete(result);
        }
        // A guest that was paused meanwhile gets what it asked for when it is resumed.
        if machine.guest.state() != State::Paused {
            let power = errands.power.swap(0, Ordering::Acquire);
            match power {
                1 => machine.guest_off(),
                2 => machine.guest_reset(),
                _ => {}
            }
            // The waits in there may have taken the wake of an order that came meanwhile.
            if power != 0 {
                continue;
            }
        }
        match machine.poll() {
            Work::Done => host_thread::park(),
            // Others of the same priority first: a device that never finishes delays only its own machine.
            Work::More => host_thread::yield_now(),
        }
    }
}

/// Who gave an order after the last one gets an answer too.
fn refuse_the_rest(errands: &Errands) {
    errands.orders.lock().closed = true;
    while let Some(pending) = errands.next() {
        pending.complete(Err(LifeError::Gone));
    }
}
