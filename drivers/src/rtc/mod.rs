//! Clocks that go on while the machine is off.
//!
//! A driver of one adds its registers: [`Clock`]. What all have in common, the name and the place in the registry, is
//! here.

pub(crate) mod goldfish;
pub(crate) mod pl031;

use alloc::boxed::Box;
use alloc::string::String;

use atomic::Arc;
use vio::rtc::{self, ClockError, RtcDevice};

use crate::{Node, Running};

/// The registers of a clock.
trait Clock: Send + Sync + 'static {
    /// Seconds since 1970-01-01 00:00 UTC.
    fn time(&self) -> Result<u64, ClockError>;
    /// Sets them.
    fn set_time(&self, seconds: u64) -> Result<(), ClockError>;
}

struct Rtc<C> {
    name: String,
    clock: C,
}

impl<C: Clock> RtcDevice for Rtc<C> {
    fn name(&self) -> &str {
        &self.name
    }
    fn time(&self) -> Result<u64, ClockError> {
        self.clock.time()
    }
    fn set_time(&self, seconds: u64) -> Result<(), ClockError> {
        self.clock.set_time(seconds)
    }
}

/// A clock in the registry, until it is dropped.
struct Published(Arc<dyn RtcDevice>);

impl Drop for Published {
    fn drop(&mut self) {
        rtc::withdraw(self.0.name());
    }
}

/// Publishes the clock of `node`.
fn publish(node: &Node<'_>, clock: impl Clock) -> Running {
    let clock = Arc::new(Rtc { name: node.name().into(), clock });
    rtc::publish(clock.clone());
    Box::new(Published(clock))
}
