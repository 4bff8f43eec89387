//! The life of a virtual CPU: it is a thread that [`Runner::run`]s until something stops it.
//!
//! *No lost wake-up.* Asking something of a virtual CPU sets a bit in its [`Mailbox`] and wakes its
//! thread. The bit is looked at with interrupts masked right before the guest is entered, and what would
//! bring another CPU out of its guest is an interrupt, so it comes before the look or ends the entry.
//!
//! *Emulation runs in the thread, with interrupts on.* Whatever the guest does ends as an answer, an
//! exception in the guest, or a [`Stop`] of this virtual CPU alone.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod buses;
pub mod entropy;
mod exits;
mod firmware;
mod mailbox;
mod run;
#[cfg(test)]
mod tests;

pub use buses::Buses;
pub use exits::{ExitKind, ExitStats, exits_are_timed, time_exits};
pub use firmware::{CpuState, PowerError, Siblings, sbi};
pub use mailbox::{Asked, Mailbox};
pub use run::{PowerRequest, Runner, Stop};
