//! The host's character devices, as UART drivers publish them, and which of them is the console.

use alloc::vec::Vec;

use atomic::Arc;
use host_sync::Spin;

use crate::Listener;
use crate::registry::Registry;

/// A host device that bytes go into and come out of.
pub trait CharDevice: Send + Sync {
    /// What `chardev list` calls it.
    fn name(&self) -> &str;
    /// Sends what fits now, and says how many bytes that was.
    fn write(&self, bytes: &[u8]) -> usize;
    /// Takes what has arrived, and says how many bytes that was.
    fn read(&self, into: &mut [u8]) -> usize;
    /// Names who is told that bytes arrived, in place of who was told before.
    fn set_listener(&self, listener: Option<Arc<dyn Listener>>);
}

static DEVICES: Registry<dyn CharDevice> = Registry::new();
static CONSOLE: Spin<Option<Arc<dyn CharDevice>>> = Spin::new(None);

/// Adds a device to the list.
pub fn publish(device: Arc<dyn CharDevice>) {
    DEVICES.publish(device);
}

/// Takes the devices of this name from the list; the console too, when it was one of them.
pub fn withdraw(name: &str) {
    DEVICES.withdraw(|device| device.name() == name);
    let mut console = CONSOLE.lock();
    let gone =
        if console.as_ref().is_some_and(|device| device.name() == name) { console.take() } else { None };
    drop(console);
    drop(gone);
}

/// All devices.
pub fn list() -> Vec<Arc<dyn CharDevice>> {
    DEVICES.list()
}

/// The device of this name.
pub fn find(name: &str) -> Option<Arc<dyn CharDevice>> {
    list().into_iter().find(|device| device.name() == name)
}

/// Makes `device` the console.
pub fn set_console(device: Arc<dyn CharDevice>) {
    let before = CONSOLE.lock().replace(device);
    drop(before);
}

/// The console, once there is one.
pub fn console() -> Option<Arc<dyn CharDevice>> {
    CONSOLE.lock().clone()
}
