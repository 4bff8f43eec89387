//! A node of the guest's tree, as the device that is built from it sees it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use addr::{Gpa, Hpa, Span};
use arch::{RegisterId, Rights};
use atomic::Arc;
use fdt::{Error, Node, Problem};
use vio::bell::Bell;
use vio::irq::{IrqLine, Messages};
use vio::serial::Serial;
use vm_bus::Target;
use vm_memory::GuestMemory;
use vm_vcpu::PowerRequest;

use crate::errand::Errands;
use crate::plan::{Image, Plan};
use crate::{Controller, NotWired};

/// What a device asks for while it is built. What it takes is recorded: a private property of the node
/// that nobody took is an error.
pub struct Wires<'a> {
    node: Node<'a>,
    plan: &'a mut Plan,
    /// Where the bell's target goes in the plan, once the device asked for a bell.
    bell: Option<usize>,
    serials: u32,
}

impl<'a> Wires<'a> {
    pub(crate) fn new(node: Node<'a>, plan: &'a mut Plan) -> Self {
        Self { node, plan, bell: None, serials: 0 }
    }

    /// The node itself, for what has no method here. Private properties read this way are not taken.
    pub fn node(&self) -> Node<'a> {
        self.node
    }

    /// An error about this node, or about one of its properties.
    pub fn error(&self, property: Option<&str>, text: impl Into<Cow<'static, str>>) -> NotWired {
        Error::new(self.node.path(), property, Problem::Other(text.into()))
    }

    /// How many elements `reg` has.
    pub fn reg_count(&self) -> Result<usize, NotWired> {
        Ok(self.node.reg()?.len())
    }

    /// An element of `reg`: not empty, within the guest's addresses.
    pub fn reg(&self, index: usize) -> Result<Span<Gpa>, NotWired> {
        crate::plan::span(self.node, self.node.region(index)?, self.plan.address_bits())
    }

    /// The line of an element of `interrupts`.
    pub fn irq(&self, index: usize) -> Result<IrqLine, NotWired> {
        self.plan.line(self.node, index)
    }

    /// The lines of an element of `interrupts` that each CPU has for itself, by the CPU's number.
    pub fn private_irqs(&self, index: usize) -> Result<Vec<IrqLine>, NotWired> {
        self.plan.private_lines(self.node, index)
    }

    /// What takes the messages of this device: the controller that its `msi-parent` names.
    pub fn messages(&self) -> Result<Arc<dyn Messages>, NotWired> {
        const PARENT: &str = "msi-parent";
        let parent = self.node.require(PARENT)?.phandle()?;
        let controller = self.plan.controllers.iter().find(|(id, _)| *id == parent.id());
        controller.and_then(|(_, controller)| controller.messages()).ok_or_else(|| {
            let text = alloc::format!("{} takes no messages in this machine", parent.path());
            self.error(Some(PARENT), text)
        })
    }

    /// A number of one cell or two.
    pub fn number(&mut self, name: &str) -> Result<Option<u64>, NotWired> {
        self.plan.take(self.node, name);
        self.node.property(name).map(|property| property.u64()).transpose()
    }

    /// Whether the property is there.
    pub fn flag(&mut self, name: &str) -> bool {
        self.plan.take(self.node, name);
        self.node.flag(name)
    }

    /// A text.
    pub fn string(&mut self, name: &str) -> Result<Option<&'a str>, NotWired> {
        self.plan.take(self.node, name);
        self.node.str_opt(name)
    }

    /// A serial port of its own, named after guest and alias (`guest0/uart0`), or after the node where no
    /// alias is.
    pub fn serial(&mut self) -> Arc<Serial> {
        let mut name = self.plan.name_of(self.node);
        if self.serials > 0 {
            name = alloc::format!("{name}.{}", self.serials);
        }
        self.serials += 1;
        let serial = Serial::new(&name);
        self.plan.serials.push(serial.clone());
        serial
    }

    /// The guest's memory.
    pub fn memory(&self) -> Arc<dyn GuestMemory> {
        self.plan.ram.clone()
    }

    /// The bell of this device: ringing gets the first target that is put on the bus polled.
    pub fn bell(&mut self) -> Bell {
        let (index, bell) = self.plan.bell(self.bell);
        self.bell = Some(index);
        bell
    }

    /// What switches the whole machine off or resets it, for a device that guests do that with.
    pub fn power_switch(&self) -> PowerSwitch {
        self.plan.power_switch()
    }

    /// How many CPUs the guest has.
    pub fn vcpu_count(&self) -> u32 {
        u32::try_from(self.plan.hardware_ids.len()).unwrap_or(u32::MAX)
    }

    /// What CPU number `index` calls itself (MPIDR's affinity fields on Arm).
    pub fn hardware_id(&self, index: u32) -> Option<u64> {
        self.plan.hardware_ids.get(usize::try_from(index).ok()?).copied()
    }

    /// Puts a device at an element of `reg`.
    pub fn map(&mut self, index: usize, target: Arc<dyn Target>) -> Result<(), NotWired> {
        let span = self.reg(index)?;
        self.map_at(span, target)
    }

    /// Puts a device at `span`.
    pub fn map_at(&mut self, span: Span<Gpa>, target: Arc<dyn Target>) -> Result<(), NotWired> {
        self.plan.claim(self.node, span)?;
        self.plan.put(self.node, span, &target)?;
        self.hold(target);
        Ok(())
    }

    /// Puts a device behind system registers.
    pub fn map_registers(&mut self, ids: &[RegisterId], target: Arc<dyn Target>) -> Result<(), NotWired> {
        self.plan.put_registers(self.node, ids, &target)?;
        self.hold(target);
        Ok(())
    }

    fn hold(&mut self, target: Arc<dyn Target>) {
        self.plan.hold(self.node, target, self.bell);
    }

    /// Makes `controller` the one that the lines of the nodes lead to which name this node as their
    /// interrupt parent, and (the first one) the one that the CPUs are joined to.
    pub fn set_controller(&mut self, controller: Arc<dyn Controller>) {
        self.plan.controllers.push((self.node.id(), controller));
    }

    /// Gives the guest another value of a property than the description has.
    pub fn rewrite(&mut self, property: &str, value: impl fdt::Value) {
        self.plan.rewrites.push((self.node.id(), property.into(), value.encode()));
    }

    /// Leaves the node out of the tree that the guest gets.
    pub fn hide(&mut self) {
        self.plan.hidden.push(self.node.id());
    }

    /// Maps host registers into the guest; they belong to it from now on.
    pub fn pass(&mut self, at: Gpa, registers: Span<Hpa>) -> Result<(), NotWired> {
        self.plan.pass(self.node, at, registers)
    }

    /// Gives the guest zeroed memory at `span`.
    pub fn add_memory(&mut self, span: Span<Gpa>, rights: Rights) -> Result<(), NotWired> {
        self.plan.claim(self.node, span)?;
        self.plan.add_memory(self.node, span, rights)
    }

    /// Gives the guest zeroed memory at `span`, which lies in a place where the device is mapped already:
    /// what is mapped answers where no memory is, and to what the memory does not allow.
    pub fn back_memory(&mut self, span: Span<Gpa>, rights: Rights) -> Result<(), NotWired> {
        self.plan.add_memory(self.node, span, rights)
    }

    /// Shows the guest, at `span`, memory that it or another guest has elsewhere too.
    pub fn show_memory(
        &mut self,
        span: Span<Gpa>,
        backing: &Arc<host_mem::Backing>,
        offset: u64,
        rights: Rights,
    ) -> Result<(), NotWired> {
        self.plan.claim(self.node, span)?;
        self.plan.show_memory(self.node, span, backing, offset, rights)
    }

    /// What is behind the guest's memory at `at`, and the offset in it.
    pub fn backing(&self, at: Gpa) -> Option<(Arc<host_mem::Backing>, u64)> {
        self.plan.ram.backing(at)
    }

    /// The file that a property names, and its size; it is loaded to `load`'s place at each start.
    pub fn image(&mut self, property: &str) -> Result<Option<(String, u64)>, NotWired> {
        let Some(path) = self.string(property)? else { return Ok(None) };
        let length = crate::plan::file_length(self.node, property, path)?;
        Ok(Some((path.into(), length)))
    }

    /// Has the file at `path`, which `property` names, loaded to `span` whenever the guest starts.
    pub fn load_at_start(&mut self, property: &'static str, path: String, span: Span<Gpa>) {
        let node = self.node.path();
        self.plan.images.push(Image { node, property, path, span });
    }

    /// The guest begins here, with firmware that this node has.
    pub fn set_firmware(&mut self, entry: Gpa) -> Result<(), NotWired> {
        if let Some((_, whose)) = &self.plan.firmware {
            return Err(self.error(None, alloc::format!("{whose} has firmware to begin with already")));
        }
        self.plan.firmware = Some((entry, self.node.path()));
        Ok(())
    }

    /// The guest's CPUs find here how much time was taken from them: 64 bytes each (DEN0057), in memory that was
    /// added.
    pub fn set_stolen_time(&mut self, at: Gpa) -> Result<(), NotWired> {
        if let Some((_, whose)) = &self.plan.stolen_time {
            return Err(self.error(None, alloc::format!("{whose} says already where stolen time is shown")));
        }
        self.plan.stolen_time = Some((at, self.node.path()));
        Ok(())
    }

    /// What the guest's tree lists before this node is built: regions that are taken, and by whom.
    pub fn taken(&self) -> &[(Span<Gpa>, String)] {
        &self.plan.regions
    }
}

/// What a device switches its whole machine with. It happens soon after, in the machine's own thread.
pub struct PowerSwitch(Arc<Errands>);

impl PowerSwitch {
    pub(crate) fn new(errands: Arc<Errands>) -> Self {
        Self(errands)
    }

    /// Asks for it. From any context.
    pub fn press(&self, request: PowerRequest) {
        self.0.power(request);
    }
}

/// For lists of cells in rewritten properties.
pub fn cells(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_be_bytes()).collect()
}
