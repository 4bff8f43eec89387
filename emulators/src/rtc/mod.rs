//! Real-time clocks.

mod alarm;
mod goldfish;
mod pl031;

use vm_machine::Model;

/// The models of this class.
pub(crate) const MODELS: &[&Model] = &[&pl031::MODEL, &goldfish::MODEL];

/// The host's time in nanoseconds: since 1970, or since power-on where nobody set the time of day.
fn host_time() -> u64 {
    use host_thread::time;
    time::wall::now().unwrap_or_else(|| time::now().0)
}
