//! What a kind of emulated device is to the machine, and what a machine's interrupt controller is.

use alloc::borrow::Cow;
use atomic::Arc;

use arch::GuestPort;
use vio::irq::IrqLine;
use vm_bus::VcpuWaker;

use crate::Wires;

/// A kind of device: one `const MODEL` in one file, one line in a catalog.
pub struct Model {
    /// The name in lists and messages.
    pub name: &'static str,
    /// The values of `compatible` that it answers to.
    pub compatible: &'static [&'static str],
    /// Builds one from its node, and puts it on the machine's bus.
    pub build: fn(&mut Wires<'_>) -> Result<(), NotWired>,
}

/// Why a device could not be built: an error that names node and property.
pub type NotWired = fdt::Error;

/// The interrupt controller of a machine: devices raise its lines, virtual CPUs are joined to its ports.
pub trait Controller: Send + Sync {
    /// Which pin an interrupt specifier of `#interrupt-cells` cells means, or what is wrong with it.
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>>;
    /// The line to a pin.
    fn line(&self, pin: u32) -> IrqLine;
    /// The line to a pin that each CPU has for itself, of virtual CPU number `vcpu`; `None` where the pin is
    /// for all together.
    fn private_line(&self, vcpu: u32, pin: u32) -> Option<IrqLine>;
    /// What virtual CPU number `vcpu` is joined to; `waker` wakes that one.
    fn port(&self, vcpu: u32, waker: Arc<dyn VcpuWaker>) -> Arc<dyn GuestPort>;
    /// Whether guests reach the CPU interface through system registers (GICv3).
    fn irq_registers(&self) -> bool;
    /// Everything as it was built; the ports stay.
    fn reset(&self);
    /// One CPU's part as it was built: that CPU was powered on.
    fn reset_cpu(&self, vcpu: u32);
}
