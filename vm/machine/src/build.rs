//! From a guest's tree to the parts of its machine.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use arch::{GuestCpu, GuestProfile, Rights};
use atomic::Arc;
use fdt::{Error, Node, Problem, Tree};
use host_log::Limiter;
use host_thread::{Options, Priority};
use vm_vcpu::{Buses, Runner, sbi};

use crate::boot::Boot;
use crate::errand::{self, Errands};
use crate::guest::{Guest, Peers};
use crate::machine::Machine;
use crate::plan::{self, Plan};
use crate::schedule::{self, Schedule};
use crate::vcpu::{self, Vcpu};
use crate::{Model, Wires};

/// More CPUs than any interrupt controller of a guest has room for are a mistake in the tree.
const MAX_CPUS: usize = 512;

/// Builds the machine that `tree` describes and starts its threads; the guest is not powered on.
pub(crate) fn build(name: &str, id: u32, tree: Tree, catalog: &[&[&Model]]) -> Result<Arc<Guest>, Error> {
    let errands = Arc::new(Errands::default());
    let mut plan = Plan::new(name, &tree, errands.clone())?;
    let schedules = read_cpus(&mut plan, &tree)?;
    add_ram(&mut plan, &tree)?;
    build_devices(&mut plan, &tree, catalog)?;
    check_references(&plan, &tree)?;
    let boot = Boot::read(&mut plan, &tree)?;
    let firmware = crate::firmware::settings(&mut plan, &tree)?;
    for node in all(&tree) {
        plan.check_taken(node)?;
    }
    assemble(plan, tree, boot, firmware, &schedules, id, errands)
}

/// The root and all nodes below it.
fn all(tree: &Tree) -> impl Iterator<Item = Node<'_>> {
    core::iter::once(tree.root()).chain(tree.root().descendants())
}

fn is_memory(node: Node<'_>) -> bool {
    node.str_opt("device_type").ok().flatten() == Some("memory")
}

/// Nodes that say something and are no device: they have no model, whatever is in them.
fn is_description(node: Node<'_>) -> bool {
    matches!(node.base_name(), "cpus" | "chosen" | "aliases" | "reserved-memory" | "psci") || is_memory(node)
}

/// The nodes that are devices, in the order of the tree. What is below a device is the device's.
pub(crate) fn devices(tree: &Tree) -> Vec<Node<'_>> {
    let mut found = Vec::new();
    let mut rest: Vec<Node<'_>> = tree.root().children().collect();
    rest.reverse();
    while let Some(node) = rest.pop() {
        if !node.is_enabled() || is_description(node) {
            continue;
        }
        if node.is_compatible("simple-bus") {
            let at = rest.len();
            rest.extend(node.children());
            if let Some(children) = rest.get_mut(at..) {
                children.reverse();
            }
        } else {
            found.push(node);
        }
    }
    found
}

/// Builds all devices. Controllers come first, since the lines of all others lead to them: those in the CPUs' nodes,
/// then those that take messages and those that send them.
pub(crate) fn build_devices(plan: &mut Plan, tree: &Tree, catalog: &[&[&Model]]) -> Result<(), Error> {
    let cpus = tree.find("/cpus").into_iter().flat_map(|cpus| cpus.children());
    let own = cpus.filter(|node| is_cpu(*node)).filter_map(own_controller);
    let (controllers, others): (Vec<_>, Vec<_>) =
        devices(tree).into_iter().partition(|node| node.flag("interrupt-controller"));
    let (senders, takers): (Vec<_>, Vec<_>) =
        controllers.into_iter().partition(|node| node.flag("msi-parent"));
    for node in own.chain(takers).chain(senders).chain(others) {
        build_device(plan, node, catalog)?;
    }
    Ok(())
}

fn is_cpu(node: Node<'_>) -> bool {
    node.base_name() == "cpu" && node.is_enabled()
}

/// The interrupt controller that a CPU has in its node.
fn own_controller(cpu: Node<'_>) -> Option<Node<'_>> {
    cpu.children().find(|node| node.flag("interrupt-controller"))
}

fn build_device(plan: &mut Plan, node: Node<'_>, catalog: &[&[&Model]]) -> Result<(), Error> {
    // The most particular `compatible` comes first.
    let model = node
        .compatibles()
        .find_map(|name| catalog.iter().copied().flatten().find(|model| model.compatible.contains(&name)));
    match model {
        Some(model) => (model.build)(&mut Wires::new(node, plan)),
        // A fixed clock, a timer of the CPU: described, and not at any address.
        None if !node.flag("reg") => Ok(()),
        None => {
            let names: Vec<&str> = node.compatibles().collect();
            let text = if names.is_empty() {
                String::from("is missing, so nobody knows what this is")
            } else {
                format!("no emulated device answers to \"{}\"", names.join("\", \""))
            };
            Err(Error::new(node.path(), Some("compatible"), Problem::Other(text.into())))
        }
    }
}

pub(crate) fn add_ram(plan: &mut Plan, tree: &Tree) -> Result<(), Error> {
    let mut any = false;
    for node in tree.root().children().filter(|node| is_memory(*node) && node.is_enabled()) {
        for region in node.reg()? {
            let span = plan::span(node, region, plan.address_bits())?;
            plan.claim(node, span)?;
            plan.add_memory(node, span, Rights::Memory)?;
            any = true;
        }
    }
    if any {
        Ok(())
    } else {
        Err(tree.root().error("there is no memory: no node with device_type = \"memory\""))
    }
}

/// Reads the CPUs: what they call themselves, and how their threads are scheduled.
pub(crate) fn read_cpus(plan: &mut Plan, tree: &Tree) -> Result<Vec<Schedule>, Error> {
    let cpus = tree.require("/cpus")?;
    let mut schedules = Vec::new();
    for node in cpus.children().filter(|node| is_cpu(*node)) {
        let regions = node.bus_reg()?;
        let Some(region) = regions.first() else { return Err(node.error("has no number")) };
        let id = region.start;
        if plan.hardware_ids.contains(&id) {
            return Err(Error::new(
                node.path(),
                Some("reg"),
                Problem::Other("another CPU has this number".into()),
            ));
        }
        if plan.hardware_ids.len() >= MAX_CPUS {
            return Err(cpus.error(format!("has more than {MAX_CPUS} CPUs")));
        }
        plan.hardware_ids.push(id);
        plan.own_controllers.push(own_controller(node).map(|own| own.id()));
        schedules.push(schedule::read(plan, cpus, node)?);
    }
    if schedules.is_empty() { Err(cpus.error("has no CPU")) } else { Ok(schedules) }
}

/// Interrupts and clocks of nodes without a model must lead somewhere too: the guest will follow them.
fn check_references(plan: &Plan, tree: &Tree) -> Result<(), Error> {
    for node in all(tree).filter(|node| node.is_enabled()) {
        for index in 0..node.interrupts()?.len() {
            plan.line(node, index)?;
        }
        node.references("clocks", "#clock-cells")?;
    }
    Ok(())
}

/// Makes the CPUs and all threads. On an error whatever was started ends again.
fn assemble(
    plan: Plan,
    tree: Tree,
    boot: Boot,
    firmware: sbi::Settings,
    schedules: &[Schedule],
    id: u32,
    errands: Arc<Errands>,
) -> Result<Arc<Guest>, Error> {
    let root_error = |text: String| Error::new("/", None, Problem::Other(text.into()));
    let name = plan.name.clone();
    let joined: Option<Vec<_>> = (0..schedules.len()).map(|cpu| plan.controller_of(cpu).cloned()).collect();
    let Some(joined) = joined else { return Err(tree.root().error("there is no interrupt controller")) };
    let vcpus: Vec<Arc<Vcpu>> = (0..)
        .zip(&plan.hardware_ids)
        .map(|(index, id)| Vcpu::new(&name, index, *id, errands.clone()))
        .collect();
    let buses = Arc::new(Buses {
        memory: plan.memory_bus,
        registers: plan.register_bus,
        firmware,
        name: name.clone(),
        limiter: Limiter::new(10, 1000),
    });
    let guest = Arc::new(Guest::new(
        id,
        &name,
        vcpus.clone(),
        plan.ram.clone(),
        plan.regions,
        plan.devices,
        errands.clone(),
    ));
    let controllers: Vec<_> = plan.controllers.into_iter().map(|(_, controller)| controller).collect();
    let irq_registers = controllers.iter().any(|controller| controller.irq_registers());
    let machine = Machine {
        guest: guest.clone(),
        controllers: controllers.clone(),
        bells: plan.bells,
        serials: plan.serials,
        images: plan.images,
        tree,
        rewrites: plan.rewrites,
        hidden: plan.hidden,
        boot,
    };
    let cpus = u32::try_from(vcpus.len()).unwrap_or(u32::MAX);
    // Above its CPUs: one that never waits must not keep orders about its guest waiting.
    let busiest =
        schedules.iter().map(|schedule| schedule.attributes.priority).max().unwrap_or(Priority::DEFAULT);
    let above = Priority::new(busiest.get().saturating_add(1)).unwrap_or(Priority::HIGHEST);
    let peers = Arc::new(Peers {
        vcpus: vcpus.clone(),
        ram: plan.ram,
        controllers: joined.clone(),
        stolen_time: plan.stolen_time.map(|(at, _)| at),
    });
    for ((vcpu, schedule), controller) in vcpus.iter().zip(schedules).zip(&joined) {
        let profile =
            GuestProfile { index: vcpu.index(), hardware_id: vcpu.hardware_id(), cpus, irq_registers };
        let port = controller.port(vcpu.index(), vcpu.clone()).ok_or_else(|| {
            root_error(format!("the interrupt controller has no way to interrupt {}", vcpu.name()))
        })?;
        let mut cpu = arch::Vcpu::new(profile, port)
            .ok_or_else(|| root_error(format!("{} can't be made on this processor", vcpu.name())))?;
        if let Some(file) = controllers.iter().find_map(|controller| controller.file(vcpu.index())) {
            cpu.set_file(file);
        }
        let runner = Runner::new(
            cpu,
            vcpu.index(),
            guest.memory().space().clone(),
            buses.clone(),
            vcpu.mailbox.clone(),
            peers.clone(),
        );
        let (controllers, devices) = (controllers.clone(), guest.clone());
        let reset = move |index| {
            devices.reset_cpu(index);
            for controller in &controllers {
                controller.reset_cpu(index);
            }
        };
        vcpu::spawn(vcpu, runner, *schedule, reset)
            .map_err(|why| root_error(format!("the thread of {} can't be started: {why}", vcpu.name())))?;
    }
    let options = Options::new(format!("{name}/errands")).priority(above);
    let thread = host_thread::spawn(options, Box::new(move || errand::live(machine)))
        .map_err(|why| root_error(format!("the thread of {name} can't be started: {why}")))?;
    errands.set_thread(thread);
    Ok(guest)
}
