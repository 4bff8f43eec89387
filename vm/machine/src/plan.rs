//! What the nodes of a guest's tree ask for, collected while they are built.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use addr::{Gpa, Hpa, PAGE_SIZE, Span};
use arch::{GuestSpace, RegisterId, Rights, Space};
use atomic::{Arc, Weak};
use fdt::{Error, Node, NodeId, Problem, Region, Tree};
use host_mem::{AddError, Backing, Claim, GuestRam};
use vio::bell::Bell;
use vio::irq::IrqLine;
use vio::serial::Serial;
use vm_bus::{Bus, Target};

use crate::Controller;
use crate::errand::Errands;
use crate::wires::PowerSwitch;

/// A file that is loaded whenever the guest starts.
pub(crate) struct Image {
    pub(crate) node: String,
    pub(crate) property: &'static str,
    pub(crate) path: String,
    pub(crate) span: Span<Gpa>,
}

/// A bell and the device that it gets polled.
pub(crate) struct Bound {
    pub(crate) bell: Bell,
    pub(crate) target: Option<Arc<dyn Target>>,
}

/// The parts of a machine, as far as they are built.
pub(crate) struct Plan {
    /// The guest's name.
    pub(crate) name: String,
    pub(crate) ram: Arc<GuestRam>,
    pub(crate) memory_bus: Bus<Gpa>,
    pub(crate) register_bus: Bus<RegisterId>,
    /// Every device once, with the path of its node; for reset and for looking inside.
    pub(crate) devices: Vec<(String, Arc<dyn Target>)>,
    pub(crate) bells: Vec<Bound>,
    pub(crate) serials: Vec<Arc<Serial>>,
    pub(crate) controllers: Vec<(NodeId, Arc<dyn Controller>)>,
    /// What the guest's CPUs call themselves.
    pub(crate) hardware_ids: Vec<u64>,
    /// The interrupt controllers that CPUs have in their own nodes.
    pub(crate) own_controllers: Vec<Option<NodeId>>,
    pub(crate) rewrites: Vec<(NodeId, String, Box<[u8]>)>,
    pub(crate) hidden: Vec<NodeId>,
    pub(crate) images: Vec<Image>,
    /// Where firmware begins, and the node that has it.
    pub(crate) firmware: Option<(Gpa, String)>,
    /// Where the guest's CPUs read how much time was taken from them, and the node that says so.
    pub(crate) stolen_time: Option<(Gpa, String)>,
    /// All that has an address, and whose it is.
    pub(crate) regions: Vec<(Span<Gpa>, String)>,
    aliases: Vec<(String, String)>,
    taken: BTreeSet<(String, String)>,
    errands: Arc<Errands>,
}

impl Plan {
    /// An empty machine for the guest that `tree` describes.
    pub(crate) fn new(name: &str, tree: &Tree, errands: Arc<Errands>) -> Result<Self, Error> {
        let space = Space::new(host_mem::tables())
            .map_err(|why| tree.root().error(format!("the guest's memory map can't be made: {why}")))?;
        let aliases = tree.root().child("aliases").map(|node| {
            node.properties()
                .filter_map(|alias| Some((alias.name().to_owned(), alias.str().ok()?.to_owned())))
                .collect()
        });
        Ok(Self {
            name: name.into(),
            ram: Arc::new(GuestRam::new(Arc::new(space))),
            memory_bus: Bus::default(),
            register_bus: Bus::default(),
            devices: Vec::new(),
            bells: Vec::new(),
            serials: Vec::new(),
            controllers: Vec::new(),
            hardware_ids: Vec::new(),
            own_controllers: Vec::new(),
            rewrites: Vec::new(),
            hidden: Vec::new(),
            images: Vec::new(),
            firmware: None,
            stolen_time: None,
            regions: Vec::new(),
            aliases: aliases.unwrap_or_default(),
            taken: BTreeSet::new(),
            errands,
        })
    }

    pub(crate) fn address_bits(&self) -> u32 {
        self.ram.space().address_bits()
    }

    /// Notes that somebody looked at a property.
    pub(crate) fn take(&mut self, node: Node<'_>, property: &str) {
        if property.starts_with(PRIVATE) {
            self.taken.insert((node.path(), property.into()));
        }
    }

    /// An error if a private property is left that nobody looked at: it is misspelt, or not for this node.
    pub(crate) fn check_taken(&self, node: Node<'_>) -> Result<(), Error> {
        for property in node.properties().filter(|property| property.name().starts_with(PRIVATE)) {
            if !self.taken.contains(&(node.path(), property.name().into())) {
                return Err(property.error("is not a property of this node"));
            }
        }
        Ok(())
    }

    /// The guest's name and the alias of a node, or the node's name where no alias leads to it.
    pub(crate) fn name_of(&self, node: Node<'_>) -> String {
        let path = node.path();
        let alias = self.aliases.iter().find(|(_, to)| *to == path);
        format!("{}/{}", self.name, alias.map_or(node.name(), |(alias, _)| alias))
    }

    /// Takes addresses for a node; an error names who has them.
    pub(crate) fn claim(&mut self, node: Node<'_>, span: Span<Gpa>) -> Result<(), Error> {
        if let Some((other, whose)) = self.regions.iter().find(|(other, _)| other.overlaps(&span)) {
            return Err(reg_error(node, format!("{span} overlaps {other} of {whose}")));
        }
        self.regions.push((span, node.path()));
        Ok(())
    }

    pub(crate) fn put(
        &mut self,
        node: Node<'_>,
        span: Span<Gpa>,
        target: &Arc<dyn Target>,
    ) -> Result<(), Error> {
        self.memory_bus
            .add(&node.path(), span, target.clone())
            .map_err(|clash| reg_error(node, format!("{clash}")))
    }

    pub(crate) fn put_registers(
        &mut self,
        node: Node<'_>,
        ids: &[RegisterId],
        target: &Arc<dyn Target>,
    ) -> Result<(), Error> {
        for id in ids {
            self.register_bus
                .add(&node.path(), *id, target.clone())
                .map_err(|clash| node.error(format!("system register {clash}")))?;
        }
        Ok(())
    }

    /// Keeps a device for reset, and for polling if its bell has nobody to poll yet.
    pub(crate) fn hold(&mut self, node: Node<'_>, target: Arc<dyn Target>, bell: Option<usize>) {
        if let Some(bound) = bell.and_then(|index| self.bells.get_mut(index)) {
            bound.target.get_or_insert_with(|| target.clone());
        }
        if !self.devices.iter().any(|(_, known)| Arc::ptr_eq(known, &target)) {
            self.devices.push((node.path(), target));
        }
    }

    /// What switches the whole machine.
    pub(crate) fn power_switch(&self) -> PowerSwitch {
        PowerSwitch::new(self.errands.clone())
    }

    /// The bell at `index`, or a new one.
    pub(crate) fn bell(&mut self, index: Option<usize>) -> (usize, Bell) {
        if let Some((index, bound)) = index.and_then(|index| Some((index, self.bells.get(index)?))) {
            return (index, bound.bell.clone());
        }
        let errands = self.errands.clone();
        let bell = Bell::new(Arc::new(move || errands.wake()));
        self.bells.push(Bound { bell: bell.clone(), target: None });
        (self.bells.len() - 1, bell)
    }

    /// The line that an element of a node's interrupts means.
    pub(crate) fn line(&self, node: Node<'_>, index: usize) -> Result<IrqLine, Error> {
        let (controller, pin) = self.pin(node, index)?;
        Ok(controller.line(pin))
    }

    /// The same where each CPU has an interrupt of its own: one line for each.
    pub(crate) fn private_lines(&self, node: Node<'_>, index: usize) -> Result<Vec<IrqLine>, Error> {
        let (controller, pin) = self.pin(node, index)?;
        let lines = (0..).zip(&self.hardware_ids).map(|(vcpu, _)| controller.private_line(vcpu, pin));
        lines.collect::<Option<_>>().ok_or_else(|| {
            let text = format!("element {index} is not an interrupt that each CPU has for itself");
            Error::new(node.path(), Some("interrupts"), Problem::Other(text.into()))
        })
    }

    /// What CPU number `cpu` is joined to: the controller in its own node, or the machine's first.
    pub(crate) fn controller_of(&self, cpu: usize) -> Option<&Arc<dyn Controller>> {
        let own = self.own_controllers.get(cpu).copied().flatten();
        let mut all = self.controllers.iter();
        all.find(|(id, _)| own.is_none_or(|own| own == *id)).map(|(_, controller)| controller)
    }

    fn pin(&self, node: Node<'_>, index: usize) -> Result<(&dyn Controller, u32), Error> {
        let reference = node.interrupt(index)?;
        let parent = reference.node.id();
        let Some((_, controller)) = self.controllers.iter().find(|(id, _)| *id == parent) else {
            let text = format!("{} is no interrupt controller of this machine", reference.node.path());
            return Err(Error::new(node.path(), Some("interrupts"), Problem::Other(text.into())));
        };
        let cells: Vec<u32> = reference.cells.iter().collect();
        let pin = controller
            .translate(&cells)
            .map_err(|why| Error::new(node.path(), Some("interrupts"), Problem::Other(why)))?;
        Ok((&**controller, pin))
    }

    /// Zeroed memory of the guest's own.
    pub(crate) fn add_memory(
        &mut self,
        node: Node<'_>,
        span: Span<Gpa>,
        rights: Rights,
    ) -> Result<(), Error> {
        check_pages(node, span)?;
        let free = host_mem::free_frames().saturating_mul(PAGE_SIZE);
        if span.length() > free {
            let text =
                format!("{} MiB are wanted, and the host has {} MiB left", span.length() >> 20, free >> 20);
            return Err(reg_error(node, text));
        }
        self.ram.add(span.base(), span.length(), rights).map_err(|why| add_error(node, span, why))
    }

    pub(crate) fn show_memory(
        &mut self,
        node: Node<'_>,
        span: Span<Gpa>,
        backing: &Arc<Backing>,
        offset: u64,
        rights: Rights,
    ) -> Result<(), Error> {
        check_pages(node, span)?;
        self.ram
            .show(span.base(), backing, offset, span.length(), rights)
            .map_err(|why| add_error(node, span, why))
    }

    pub(crate) fn pass(&mut self, node: Node<'_>, at: Gpa, registers: Span<Hpa>) -> Result<(), Error> {
        let span = Span::<Gpa>::new(at, registers.length())
            .ok_or_else(|| node.error(format!("{registers} does not fit at {at}")))?;
        check_pages(node, span)?;
        self.claim(node, span)?;
        let claim = passed_registers(registers, &self.name)
            .map_err(|why| node.error(format!("host registers {registers} can't be given away: {why}")))?;
        self.ram.pass(at, &claim).map_err(|why| add_error(node, span, why))
    }
}

/// The prefix of properties that are the hypervisor's business and not the guest's.
pub(crate) const PRIVATE: &str = "xvisor,";

/// Host registers that guests use (all guests the same GICV page): claimed once, while any guest has them.
fn passed_registers(span: Span<Hpa>, owner: &str) -> Result<Arc<Claim>, host_mem::ClaimError> {
    static PASSED: host_sync::Spin<Vec<Weak<Claim>>> = host_sync::Spin::new(Vec::new());
    let known = PASSED.lock().iter().filter_map(Weak::upgrade).find(|claim| claim.span() == span);
    if let Some(claim) = known {
        return Ok(claim);
    }
    let claim = Arc::new(Claim::new(span, owner)?);
    let mut passed = PASSED.lock();
    passed.retain(|claim| claim.strong_count() > 0);
    passed.push(Arc::downgrade(&claim));
    Ok(claim)
}

/// An element of a node's `reg` as guest-physical addresses: not empty, and not beyond `bits` bits.
pub(crate) fn span(node: Node<'_>, region: Region, bits: u32) -> Result<Span<Gpa>, Error> {
    let Region { start, size } = region;
    if size == 0 {
        return Err(reg_error(node, format!("is empty at {start:#x}")));
    }
    let limit = 1u64.checked_shl(bits).unwrap_or(0).wrapping_sub(1);
    let span = Span::<Gpa>::new(Gpa::new(start), size).filter(|span| span.last().get() <= limit);
    span.ok_or_else(|| {
        reg_error(node, format!("{size:#x} bytes at {start:#x} are beyond {bits} bits of address"))
    })
}

/// The size of a file that a property names.
pub(crate) fn file_length(node: Node<'_>, property: &str, path: &str) -> Result<u64, Error> {
    let error = |text: String| Error::new(node.path(), Some(property), Problem::Other(text.into()));
    let stat = host_vfs::stat(path).map_err(|why| error(format!("{why}")))?;
    if stat.length == 0 {
        return Err(error(format!("{path} is empty")));
    }
    Ok(stat.length)
}

fn check_pages(node: Node<'_>, span: Span<Gpa>) -> Result<(), Error> {
    if span.base().is_aligned(PAGE_SIZE) && span.length().is_multiple_of(PAGE_SIZE) {
        return Ok(());
    }
    Err(reg_error(node, format!("{span} is not made of whole pages of {PAGE_SIZE} bytes")))
}

fn add_error(node: Node<'_>, span: Span<Gpa>, why: AddError) -> Error {
    reg_error(node, format!("{span}: {why}"))
}

fn reg_error(node: Node<'_>, text: String) -> Error {
    Error::new(node.path(), Some("reg"), Problem::Other(text.into()))
}
