//! The host's real-time clocks, as their drivers publish them.

use alloc::vec::Vec;
use core::fmt;

use atomic::Arc;

use crate::registry::Registry;

/// The clock did not do what it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockError(pub &'static str);

impl fmt::Display for ClockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A clock that goes on while the machine is off.
pub trait RtcDevice: Send + Sync {
    /// What `rtcdev list` calls it.
    fn name(&self) -> &str;
    /// Seconds since 1970-01-01 00:00 UTC.
    fn time(&self) -> Result<u64, ClockError>;
    /// Sets it.
    fn set_time(&self, seconds: u64) -> Result<(), ClockError>;
}

static DEVICES: Registry<dyn RtcDevice> = Registry::new();

/// Adds a clock to the list.
pub fn publish(device: Arc<dyn RtcDevice>) {
    DEVICES.publish(device);
}

/// Takes the clocks of this name from the list.
pub fn withdraw(name: &str) {
    DEVICES.withdraw(|device| device.name() == name);
}

/// All clocks.
pub fn list() -> Vec<Arc<dyn RtcDevice>> {
    DEVICES.list()
}

/// The clock of this name.
pub fn find(name: &str) -> Option<Arc<dyn RtcDevice>> {
    list().into_iter().find(|device| device.name() == name)
}
