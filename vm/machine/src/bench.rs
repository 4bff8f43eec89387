//! A workbench for devices: built from a tree as in a machine, but without CPUs and threads. For tests.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use addr::Gpa;
use arch::{RegisterId, Width};
use atomic::Arc;
use fdt::{Error, Tree};
use vio::irq::IrqLine;
use vio::irq::fake::Pins;
use vio::serial::Serial;
use vm_bus::{Hint, Refused, Work};

use crate::build::{add_ram, build_devices, devices, read_cpus};
use crate::plan::Plan;
use crate::{Controller, Model};

/// Devices on their buses.
pub struct Bench {
    plan: Plan,
    pins: Arc<Pins>,
    hint: Hint,
}

/// How many pins the bench's interrupt controller has.
pub const PINS: u32 = 32;

impl Bench {
    /// Builds the devices of `tree`. An interrupt controller that no model of the catalog answers to is the
    /// bench's own, with one cell and [`PINS`] pins.
    pub fn new(tree: &Tree, catalog: &[&[&Model]]) -> Result<Self, Error> {
        let mut plan = Plan::new("bench", tree, Arc::default())?;
        let pins = Pins::new(usize::try_from(PINS).unwrap_or(0));
        read_cpus(&mut plan, tree)?;
        add_ram(&mut plan, tree)?;
        for node in devices(tree).into_iter().filter(|node| node.is_compatible("bench,pins")) {
            plan.controllers.push((node.id(), Arc::new(BenchController(pins.clone()))));
        }
        build_devices(&mut plan, tree, &[&[&[&PINS_MODEL] as &[&Model]][..], catalog].concat())?;
        Ok(Self { plan, pins, hint: Hint::default() })
    }

    /// A CPU reads.
    pub fn read(&mut self, at: u64, width: Width, by: u32) -> Result<u64, Refused> {
        self.plan.memory_bus.read(&mut self.hint, Gpa::new(at), width, by)
    }

    /// A CPU writes.
    pub fn write(&mut self, at: u64, width: Width, by: u32, value: u64) -> Result<(), Refused> {
        self.plan.memory_bus.write(&mut self.hint, Gpa::new(at), width, by, value)
    }

    /// The system registers that devices have.
    pub fn registers(&self) -> Vec<RegisterId> {
        let numbers = self.plan.register_bus.list().filter_map(|(_, first, _)| u32::try_from(first).ok());
        numbers.map(RegisterId).collect()
    }

    /// A CPU reads a system register.
    pub fn read_register(&self, id: RegisterId, by: u32) -> Result<u64, Refused> {
        self.plan.register_bus.read(&mut Hint::default(), id, Width::B8, by)
    }

    /// A CPU writes a system register.
    pub fn write_register(&self, id: RegisterId, by: u32, value: u64) -> Result<(), Refused> {
        self.plan.register_bus.write(&mut Hint::default(), id, Width::B8, by, value)
    }

    /// What is on the memory bus: first and last address.
    pub fn places(&self) -> Vec<(u64, u64)> {
        self.plan.memory_bus.list().map(|(_, first, last)| (first, last)).collect()
    }

    /// The serial ports.
    pub fn serials(&self) -> &[Arc<Serial>] {
        &self.plan.serials
    }

    /// The level of a pin of the bench's own controller.
    pub fn level(&self, pin: u32) -> bool {
        self.pins.level(pin)
    }

    /// Rings every bell.
    pub fn ring(&self) {
        for bound in &self.plan.bells {
            bound.bell.ring();
        }
    }

    /// Polls what rang until all is done, or `limit` times; says whether all is done.
    pub fn poll(&self, limit: usize) -> bool {
        for bound in self.plan.bells.iter().filter(|bound| bound.bell.answer()) {
            let Some(target) = &bound.target else { continue };
            if !(0..limit).any(|_| target.poll() == Work::Done) {
                return false;
            }
        }
        true
    }

    /// Resets every device, and the controllers.
    pub fn reset(&self) {
        for (_, device) in &self.plan.devices {
            device.reset();
        }
        for (_, controller) in &self.plan.controllers {
            controller.reset();
        }
    }

    /// A CPU begins anew.
    pub fn reset_cpu(&self, cpu: u32) {
        for (_, device) in &self.plan.devices {
            device.reset_cpu(cpu);
        }
    }

    /// The first interrupt controller.
    pub fn controller(&self) -> Option<&Arc<dyn Controller>> {
        self.plan.controllers.first().map(|(_, controller)| controller)
    }
}

/// What answers to the bench's own controller, which is there already.
const PINS_MODEL: Model = Model { name: "pins", compatible: &["bench,pins"], build: |_| Ok(()) };

/// Pins that nobody is joined to.
struct BenchController(Arc<Pins>);

impl Controller for BenchController {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        match cells {
            [pin] if *pin < PINS => Ok(*pin),
            _ => Err("is not one of the bench's pins".into()),
        }
    }
    fn line(&self, pin: u32) -> IrqLine {
        IrqLine::new(self.0.clone(), pin)
    }
    fn private_line(&self, _: u32, pin: u32) -> Option<IrqLine> {
        Some(self.line(pin))
    }
    fn reset(&self) {}
}
