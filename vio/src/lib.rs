//! Virtual I/O: where the two shores meet, one file per class of device, both ends in it.
//!
//! An end *stores and wakes*: pushing into one never runs the other side's code, so a device may push
//! with its lock held, from any context, and no chain of locks exists.
//!
//! | class | device's end | user's end |
//! |---|---|---|
//! | [`serial`] | a guest's UART puts and takes bytes | a terminal reads, writes, looks back |
//! | [`irq`] | a device sets the level of its line | a guest's interrupt controller owns the pins |
//! | [`bell`] | somebody rings | the machine's errand thread polls the device |
//! | [`chardev`] | a host UART's driver publishes it | the terminal is bound to it |
//! | [`rtc`] | a host clock's driver publishes it | the wall clock is set from it |
//! | [`power`] | a driver that can switch the machine off | `shutdown`, `reset` |
//! | [`assist`] | the host's interrupt controller | guests' interrupt controllers |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod assist;
pub mod bell;
pub mod chardev;
pub mod irq;
pub mod power;
mod registry;
pub mod rtc;
pub mod serial;

/// How soon a listener should come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Urgency {
    /// There is something where there was nothing. More may follow at once: waiting a little saves work.
    Some,
    /// Half of the room is used: come now, or the other side must wait.
    Soon,
    /// The other end is gone.
    Closed,
}

/// Who is told that an end has something for it. It is called with locks held and in any context, so it
/// must do no more than set a flag, arm a timer or wake a thread.
pub trait Listener: Send + Sync {
    /// There is something.
    fn heard(&self, urgency: Urgency);
}

impl<F: Fn(Urgency) + Send + Sync> Listener for F {
    fn heard(&self, urgency: Urgency) {
        self(urgency);
    }
}
