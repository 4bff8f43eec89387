//! A clock's alarm: at some point of time the device is polled, and finds that it has come.

use arch::Nanos;
use host_thread::time::{self, Timer};
use vm_machine::Wires;

/// One point of time at which a clock interrupts.
pub(super) struct Alarm {
    timer: Timer,
    due: Option<Nanos>,
}

impl Alarm {
    /// Not set; it will have the device polled.
    pub(super) fn new(wires: &mut Wires<'_>) -> Self {
        let bell = wires.bell();
        Self::calling(move || bell.ring())
    }

    /// Not set; it will call `ring`.
    pub(super) fn calling(ring: impl Fn() + Send + Sync + 'static) -> Self {
        Self { timer: Timer::new(move |_| ring()), due: None }
    }

    /// Sets it: `wait` nanoseconds from now.
    pub(super) fn set(&mut self, wait: u64) {
        let due = time::now().after(Nanos(wait));
        self.due = Some(due);
        self.timer.arm(due);
    }

    pub(super) fn cancel(&mut self) {
        self.due = None;
        self.timer.cancel();
    }

    /// The point of the host's time since power-on for which it is set.
    pub(super) fn due(&self) -> Option<Nanos> {
        self.due
    }

    /// Whether it has come, once.
    pub(super) fn take(&mut self) -> bool {
        let has_come = self.due.is_some_and(|due| due <= time::now());
        if has_come {
            self.due = None;
        }
        has_come
    }
}
