//! Who can switch the host off, or reset it.

use atomic::Arc;

use crate::registry::Registry;

/// What should become of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// Off.
    Off,
    /// From the beginning again.
    Reset,
}

/// Something that can do it.
pub trait PowerControl: Send + Sync {
    /// The driver's name.
    fn name(&self) -> &str;
    /// Does it. Returning means that it did not work.
    fn act(&self, what: Power);
}

static CONTROLS: Registry<dyn PowerControl> = Registry::new();

/// Adds one to the list.
pub fn publish(control: Arc<dyn PowerControl>) {
    CONTROLS.publish(control);
}

/// Takes those of this name from the list.
pub fn withdraw(name: &str) {
    CONTROLS.withdraw(|control| control.name() == name);
}

/// Asks all that can do it, the latest first. Returning means that nobody could.
pub fn act(what: Power) {
    for control in CONTROLS.list().iter().rev() {
        control.act(what);
    }
}
