//! What a kind of emulated device is to the machine, and what a machine's interrupt controller is.

use alloc::borrow::Cow;
use atomic::Arc;

use arch::{GuestPort, MessageFile};
use vio::irq::{IrqLine, Messages};
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

/// An interrupt controller of a machine: devices raise its lines. Virtual CPUs are joined to the ports of one; others
/// raise lines of that one (as RISC-V's do, whose harts have a controller each).
pub trait Controller: Send + Sync {
    /// Which pin an interrupt specifier of `#interrupt-cells` cells means, or what is wrong with it.
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>>;
    /// The line to a pin.
    fn line(&self, pin: u32) -> IrqLine;
    /// The line to a pin that each CPU has for itself, of virtual CPU number `vcpu`; `None` where the pin is
    /// for all together.
    fn private_line(&self, _vcpu: u32, _pin: u32) -> Option<IrqLine> {
        None
    }
    /// What virtual CPU number `vcpu` is joined to; `waker` wakes that one. `None` where CPUs are reached through
    /// another controller's lines.
    fn port(&self, _vcpu: u32, _waker: Arc<dyn VcpuWaker>) -> Option<Arc<dyn GuestPort>> {
        None
    }
    /// Whether guests reach it through registers of the CPU (GICv3, IMSIC).
    fn irq_registers(&self) -> bool {
        false
    }
    /// Raises the software interrupt of a CPU, or takes it back, as guests ask their firmware for (SBI).
    fn set_software(&self, _vcpu: u32, _raised: bool) {}
    /// What takes messages that this controller's node is the parent of (`msi-parent`).
    fn messages(&self) -> Option<Arc<dyn Messages>> {
        None
    }
    /// The file to which messages for virtual CPU number `vcpu` come, where each has one (IMSIC).
    fn file(&self, _vcpu: u32) -> Option<Arc<dyn MessageFile>> {
        None
    }
    /// Everything as it was built; the ports stay.
    fn reset(&self);
    /// One CPU's part as it was built: that CPU was powered on.
    fn reset_cpu(&self, _vcpu: u32) {}
}
