//! The controller as a node of a guest's tree, on the machine's buses, and as what the machine's lines and
//! CPUs are joined to.
//!
//! Which version a guest gets is what its node says, and the host's hardware must help with that one. A node
//! of [`xvisor,gic`](GIC) leaves the choice to the host: it has three elements of `reg` (distributor,
//! redistributors, CPU interface) and becomes the node of the version that the host helps with.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use addr::Span;
use arch::{GuestPort, RegisterId};
use atomic::Arc;
use fdt::Node;
use isa_a64::sysreg::SysReg;
use isa_gic::Specifier;
use isa_gic::gicd;
use isa_gic::v2::gicc;
use isa_gic::v3::{Affinity, gicr};
use vio::assist::{self, Assist};
use vio::irq::IrqLine;
use vm_bus::{Access, Refused, Target, VcpuWaker};
use vm_machine::{Controller, Model, NotWired, Wires};

use super::port::Shared;
use super::registers::At;
use super::state::{FIRST_SPI, Intid, Version};
use super::{distributor_v2, distributor_v3, inspection, redistributor, sgi};

/// A GICv3.
pub(super) const GICV3: Model = Model { name: "gicv3", compatible: &["arm,gic-v3"], build: build_v3 };
/// A GICv2.
pub(super) const GICV2: Model = Model {
    name: "gicv2",
    compatible: &["arm,gic-400", "arm,cortex-a15-gic", "arm,cortex-a7-gic"],
    build: build_v2,
};
/// Whichever the host helps with.
pub(super) const GIC: Model = Model { name: "gic", compatible: &["xvisor,gic"], build: build_any };

/// The virtual timer's interrupt where the tree names none: PPI 11.
const USUAL_TIMER: u32 = 27;
/// Which of a timer node's interrupts is the virtual timer's.
const VIRTUAL_TIMER: usize = 2;

const SGI_REGISTERS: [RegisterId; 3] =
    [id(SysReg::ICC_SGI0R_EL1), id(SysReg::ICC_SGI1R_EL1), id(SysReg::ICC_ASGI1R_EL1)];

const fn id(register: SysReg) -> RegisterId {
    RegisterId(register.bits())
}

fn build_v3(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    if let Some(Assist::Mapped { .. }) = assist::get() {
        return Err(wires.error(Some("compatible"), "this host has a GICv2, and can't give a guest a GICv3"));
    }
    wire_v3(wires)
}

fn build_v2(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    match assist::get() {
        Some(Assist::Mapped { cpu_interface }) => wire_v2(wires, 1, Some(cpu_interface)),
        Some(Assist::Registers) => Err(wires.error(
            Some("compatible"),
            "this host has a GICv3, and guests with a GICv2 need a host with a GICv2",
        )),
        None => wire_v2(wires, 1, None),
    }
}

fn build_any(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let node = wires.node();
    let cells: Vec<u32> = node.require("reg")?.cells()?.iter().collect();
    let parent = node.parent().unwrap_or(node);
    let each = parent.address_cells()? + parent.size_cells()?;
    let mut elements = cells.chunks_exact(each.max(1));
    let (Some(distributor), Some(redistributors), Some(interface)) =
        (elements.next(), elements.next(), elements.next())
    else {
        return Err(
            wires.error(Some("reg"), "has not three elements: distributor, redistributors, CPU interface")
        );
    };
    let (compatible, second) = match assist::get() {
        Some(Assist::Mapped { cpu_interface }) => {
            wire_v2(wires, 2, Some(cpu_interface))?;
            ("arm,cortex-a15-gic", interface)
        }
        Some(Assist::Registers) | None => {
            wire_v3(wires)?;
            ("arm,gic-v3", redistributors)
        }
    };
    wires.rewrite("compatible", compatible);
    wires.rewrite("reg", [distributor, second].concat().as_slice());
    Ok(())
}

fn wire_v3(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    require_frame(wires, 0, gicd::SIZE_V3, "the distributor")?;
    let cpus = u64::from(wires.vcpu_count());
    require_frame(wires, 1, cpus * redistributor::STRIDE, "the redistributors of all CPUs")?;
    let gic = shared(wires, Version::V3)?;
    wires.map(0, Arc::new(Distributor { gic: gic.clone(), version: Version::V3 }))?;
    wires.map(1, Arc::new(Redistributors(gic.clone())))?;
    wires.map_registers(&SGI_REGISTERS, Arc::new(SgiRegisters(gic.clone())))?;
    wires.set_controller(Arc::new(Chip { gic, version: Version::V3 }));
    Ok(())
}

/// `interface` is the element of `reg` where the guest expects its CPU interface.
fn wire_v2(wires: &mut Wires<'_>, interface: usize, host: Option<Span<addr::Hpa>>) -> Result<(), NotWired> {
    if wires.vcpu_count() as usize > distributor_v2::MOST_CPUS {
        let text = format!("a GICv2 has 8 CPUs at most, and this guest has {}", wires.vcpu_count());
        return Err(wires.error(None, text));
    }
    require_frame(wires, 0, gicd::SIZE_V2, "the distributor")?;
    require_frame(wires, interface, gicc::SIZE, "the CPU interface")?;
    let gic = shared(wires, Version::V2)?;
    wires.map(0, Arc::new(Distributor { gic: gic.clone(), version: Version::V2 }))?;
    if let Some(host) = host {
        let registers =
            Span::<addr::Hpa>::new(host.base(), gicc::SIZE).filter(|_| host.length() >= gicc::SIZE);
        let registers =
            registers.ok_or_else(|| wires.error(None, format!("the host's GICV at {host} is too small")))?;
        let at = wires.reg(interface)?.base();
        wires.pass(at, registers)?;
    }
    wires.set_controller(Arc::new(Chip { gic, version: Version::V2 }));
    Ok(())
}

fn require_frame(wires: &Wires<'_>, index: usize, length: u64, what: &str) -> Result<(), NotWired> {
    let span = wires.reg(index)?;
    if span.length() < length {
        let text = format!("element {index} ({span}) is too small: {what} takes {length:#x} bytes");
        return Err(wires.error(Some("reg"), text));
    }
    Ok(())
}

/// The state, with as many shared interrupts as the tree uses.
fn shared(wires: &Wires<'_>, version: Version) -> Result<Arc<Shared>, NotWired> {
    let node = wires.node();
    let mut affinities = Vec::new();
    for index in 0..wires.vcpu_count() {
        affinities.push(Affinity::from_mpidr(wires.hardware_id(index).unwrap_or(index.into())));
    }
    Ok(Shared::new(version, &affinities, blocks(node), timer(node)?))
}

/// Blocks of 32 shared interrupts: up to the highest number that a node of the tree uses. What is wrong
/// about a node is said when that node is built.
fn blocks(controller: Node<'_>) -> usize {
    let highest = uses(controller, controller.tree().root()).map(|specifier| specifier.id.number()).max();
    let highest = highest.unwrap_or(0).clamp(FIRST_SPI, 1019);
    (highest / 32) as usize
}

/// The interrupts of this controller that nodes use.
fn uses<'t>(controller: Node<'t>, root: Node<'t>) -> impl Iterator<Item = Specifier> {
    let specifiers = |node: Node<'t>| node.interrupts().unwrap_or_default();
    root.descendants().flat_map(specifiers).filter(move |used| used.node.id() == controller.id()).filter_map(
        |used| {
            let cells: Vec<u32> = used.cells.iter().collect();
            // Extended ranges do not exist here.
            Specifier::parse(&cells).ok().filter(|specifier| Intid::new(specifier.id.number()).is_some())
        },
    )
}

/// The virtual timer's interrupt, as the tree's timer says.
fn timer(controller: Node<'_>) -> Result<Intid, NotWired> {
    let number = match controller.tree().compatible(&["arm,armv8-timer", "arm,armv7-timer"]) {
        None => USUAL_TIMER,
        Some(timer) => {
            let interrupt = if timer.flag("interrupt-names") {
                timer.interrupt_named("virt")?
            } else {
                timer.interrupt(VIRTUAL_TIMER)?
            };
            let cells: Vec<u32> = interrupt.cells.iter().collect();
            let parsed = Specifier::parse(&cells).map_err(|why| timer.error(format!("interrupts: {why}")))?;
            parsed.id.number()
        }
    };
    let private = Intid::new(number).filter(|id| id.word() == 0 && !id.is_sgi());
    private.ok_or_else(|| controller.error(format!("interrupt {number} of the virtual timer is no PPI")))
}

struct Chip {
    gic: Arc<Shared>,
    version: Version,
}

impl Controller for Chip {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        let id = Specifier::parse(cells).map_err(|why| Cow::from(format!("{why}")))?.id;
        let known = Intid::new(id.number()).filter(|id| id.word() <= self.gic.inputs.words());
        known.map(Intid::get).ok_or_else(|| format!("{id} does not exist").into())
    }
    fn line(&self, pin: u32) -> IrqLine {
        // A private interrupt has one input per CPU, so no single line leads there.
        if pin < FIRST_SPI { IrqLine::unconnected() } else { IrqLine::new(self.gic.pins(), pin) }
    }
    fn private_line(&self, vcpu: u32, pin: u32) -> Option<IrqLine> {
        Intid::new(pin)
            .filter(|id| id.word() == 0 && !id.is_sgi())
            .map(|_| IrqLine::new(self.gic.own_pins(vcpu), pin))
    }
    fn port(&self, vcpu: u32, waker: Arc<dyn VcpuWaker>) -> Option<Arc<dyn GuestPort>> {
        Some(self.gic.port(vcpu, waker))
    }
    fn irq_registers(&self) -> bool {
        self.version == Version::V3
    }
    fn reset(&self) {
        self.gic.with(|gic| gic.reset());
    }
    fn reset_cpu(&self, vcpu: u32) {
        self.gic.with(|gic| gic.reset_cpu(vcpu as usize));
    }
}

/// An access within a frame, if it is one that the architecture knows: aligned to its width.
#[inline]
fn aligned(access: Access) -> Option<At> {
    let at = At { offset: access.offset, width: access.width };
    (access.offset & (access.width.bytes() - 1) == 0).then_some(at)
}

struct Distributor {
    gic: Arc<Shared>,
    version: Version,
}

impl Target for Distributor {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        let Some(at) = aligned(access) else { return Ok(0) };
        if self.version == Version::V3
            && let Some(value) = distributor_v3::constant(&self.gic.inputs, at)
        {
            return Ok(value);
        }
        self.gic.read(access.by, at.offset, |gic, by| match self.version {
            Version::V2 => distributor_v2::read(gic, by, at),
            Version::V3 => distributor_v3::read(gic, by, at),
        })
    }
    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        let Some(at) = aligned(access) else { return Ok(()) };
        self.gic.access(access.by, |gic, by| match self.version {
            Version::V2 => distributor_v2::write(gic, by, at, value),
            Version::V3 => distributor_v3::write(gic, by, at, value),
        });
        Ok(())
    }
    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        inspection::shared(&self.gic, tree);
    }
}

/// The redistributors of all CPUs, one after the other.
struct Redistributors(Arc<Shared>);

impl Redistributors {
    /// Whose redistributor an access is to, and where in it. Beyond the last one there is nothing.
    fn split(&self, access: Access) -> Result<(usize, Access), Refused> {
        let cpu = usize::try_from(access.offset / redistributor::STRIDE).map_err(|_| Refused::Nothing)?;
        if cpu >= self.0.inputs.bells().len() {
            return Err(Refused::Nothing);
        }
        Ok((cpu, Access { offset: access.offset % redistributor::STRIDE, ..access }))
    }
}

impl Target for Redistributors {
    fn read(&self, access: Access) -> Result<u64, Refused> {
        let (cpu, access) = self.split(access)?;
        let Some(at) = aligned(access) else { return Ok(0) };
        let register = at.offset.saturating_sub(gicr::SGI_BASE);
        self.0.read(access.by, register, |gic, _| redistributor::read(gic, cpu, at))
    }
    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        let (cpu, access) = self.split(access)?;
        let Some(at) = aligned(access) else { return Ok(()) };
        self.0.access(access.by, |gic, _| redistributor::write(gic, cpu, at, value));
        Ok(())
    }
    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        inspection::private(&self.0, tree);
    }
}

/// ICC_SGI1R_EL1 and its siblings.
struct SgiRegisters(Arc<Shared>);

impl Target for SgiRegisters {
    fn read(&self, _: Access) -> Result<u64, Refused> {
        Err(Refused::WriteOnly)
    }
    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        let any = access.offset == u64::from(SysReg::ICC_SGI1R_EL1.bits());
        let asked = if any { sgi::Asked::AnyGroup } else { sgi::Asked::Group0 };
        self.0.access(access.by, |gic, by| sgi::send_v3(gic, by, asked, value));
        Ok(())
    }
}
