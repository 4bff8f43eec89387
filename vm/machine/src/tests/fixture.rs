//! What all tests stand on: a tree, a few devices, files.

use std::borrow::Cow;
use std::format;
use std::string::String;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::vec;
use std::vec::Vec;

use arch::{Cpu, GuestPort, Held, IrqSlot, Machine, Nanos, SlotState};
use atomic::{Arc, AtomicBool, AtomicU32, Ordering};
use fdt::{NodeId, Tree};
use host_sync::{Rank, Spin};
use vio::irq::{IrqLine, Pins};
use vio::serial::Serial;
use vm_bus::{Access, Device, Refused, VcpuWaker, Work, share};

use crate::{Controller, CreateError, Guest, Model, NotWired, Wires, manager};

pub(super) const RAM: u64 = 0x4000_0000;
pub(super) const UART: u64 = 0x0900_0000;
pub(super) const PIN: u32 = 5;

static MODELS: &[&Model] = &[&GIC, &UART_MODEL, &ROM];
pub(super) static CATALOG: &[&[&Model]] = &[MODELS];

const GIC: Model = Model { name: "gic", compatible: &["test,gic"], build: build_gic };
const UART_MODEL: Model = Model { name: "uart", compatible: &["test,uart"], build: build_uart };
const ROM: Model = Model { name: "rom", compatible: &["test,rom"], build: build_rom };

/// One pin that wakes CPU 0 and is offered to it.
struct OnePin {
    level: AtomicBool,
    resets: AtomicU32,
    waker: Spin<Option<Arc<dyn VcpuWaker>>>,
}

struct Gic(Arc<OnePin>);

fn build_gic(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let waker = Spin::ranked(None, Rank::Controller);
    let pin = OnePin { level: AtomicBool::default(), resets: AtomicU32::default(), waker };
    wires.set_controller(Arc::new(Gic(Arc::new(pin))));
    wires.rewrite("compatible", "test,gic-as-guests-see-it");
    Ok(())
}

impl Pins for OnePin {
    fn set(&self, _: u32, level: bool) {
        self.level.store(level, Ordering::SeqCst);
        let waker = self.waker.lock().clone();
        if let (true, Some(waker)) = (level, waker) {
            waker.wake();
        }
    }
}

impl Controller for Gic {
    fn translate(&self, cells: &[u32]) -> Result<u32, Cow<'static, str>> {
        if cells == [PIN] { Ok(PIN) } else { Err("is not the only pin".into()) }
    }
    fn line(&self, pin: u32) -> IrqLine {
        IrqLine::new(self.0.clone(), pin)
    }
    fn port(&self, vcpu: u32, waker: Arc<dyn VcpuWaker>) -> Option<Arc<dyn GuestPort>> {
        if vcpu == 0 {
            *self.0.waker.lock() = Some(waker.clone());
        }
        let stir = Arc::new(AtomicU32::new((vcpu == 0).into()));
        Some(Arc::new(Port { pin: self.0.clone(), stir, waker }))
    }
    fn irq_registers(&self) -> bool {
        true
    }
    fn reset(&self) {
        self.0.resets.fetch_add(1, Ordering::Relaxed);
        self.0.level.store(false, Ordering::SeqCst);
    }
}

struct Port {
    pin: Arc<OnePin>,
    stir: Arc<AtomicU32>,
    waker: Arc<dyn VcpuWaker>,
}

impl GuestPort for Port {
    fn stir(&self) -> &Arc<AtomicU32> {
        &self.stir
    }
    fn exchange(&self, held: &mut Held) {
        let pending = self.pin.level.load(Ordering::SeqCst);
        if let Some(slot) = held.slots().first_mut()
            && slot.state != SlotState::Active
        {
            let state = if pending { SlotState::Pending } else { SlotState::Empty };
            *slot = IrqSlot { id: 32 + PIN, state, ..IrqSlot::default() };
        }
    }
    fn timer_line(&self, _: bool, _: Option<u32>) {}
    fn timer_leaves(&self, at: Nanos) {
        self.waker.wake_at(at);
    }
}

/// Offset 0 writes and reads bytes; its line is up while one waits.
struct Uart {
    serial: Arc<Serial>,
    irq: IrqLine,
}

fn build_uart(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let irq = wires.irq(0)?;
    let serial = wires.serial();
    serial.set_bell(wires.bell());
    let _ = wires.flag("xvisor,quiet");
    if wires.reg(1).is_ok() {
        wires.map(1, share(Door))?;
    }
    wires.map(0, share(Uart { serial, irq }))
}

/// A second frame of the UART's, if it has one.
struct Door;

impl Device for Door {
    fn read(&mut self, _: Access) -> Result<u64, Refused> {
        Ok(0)
    }
    fn write(&mut self, _: Access, _: u64) -> Result<(), Refused> {
        Ok(())
    }
}

impl Device for Uart {
    fn read(&mut self, access: Access) -> Result<u64, Refused> {
        if access.offset != 0 {
            return Err(Refused::Nothing);
        }
        let byte = self.serial.take().map_or(0, u64::from);
        self.irq.set(self.serial.waiting() > 0);
        Ok(byte)
    }
    fn write(&mut self, _: Access, value: u64) -> Result<(), Refused> {
        self.serial.put(value as u8);
        Ok(())
    }
    fn poll(&mut self) -> Work {
        self.irq.set(self.serial.waiting() > 0);
        Work::Done
    }
}

fn build_rom(wires: &mut Wires<'_>) -> Result<(), NotWired> {
    let span = wires.reg(0)?;
    if let Some((path, _)) = wires.image("xvisor,firmware")? {
        wires.add_memory(span, arch::Rights::Constant)?;
        wires.set_firmware(span.base())?;
        wires.load_at_start("xvisor,firmware", path, span);
    }
    Ok(())
}

/// One test at a time: guests, files and the host's memory are the machine's, and all tests share it.
pub(super) fn boot() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    static FILES: Once = Once::new();
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    Machine::on_interrupt(host_thread::simple_entry);
    let _ = host_thread::start();
    FILES.call_once(|| {
        manager::use_catalog(CATALOG);
        let gz = include_bytes!("kernel.gz");
        let mut long = kernel(4096);
        long.resize(10_000, 0x5a);
        host_vfs::publish_image(
            "test",
            archive(&[
                ("kernel", &kernel(0x20_0000)),
                ("kernel.gz", gz),
                ("kernel.cut", &kernel(4096)[..40]),
                ("kernel.huge", &kernel(1 << 40)),
                ("kernel.bad.gz", &gz[..gz.len() / 2]),
                ("long", &long),
                ("initrd", &[7; 5000]),
                ("big", &vec![1; 3 << 20]),
                ("empty", b""),
                ("firmware", b"firmware"),
            ]),
        );
        host_vfs::mount("test", "/").unwrap();
    });
    alone
}

/// A kernel's header (booting.rst), and a few bytes.
pub(super) fn kernel(image_size: u64) -> Vec<u8> {
    let mut file = vec![0; 128];
    file[16..24].copy_from_slice(&image_size.to_le_bytes());
    file[24..32].copy_from_slice(&0xa_u64.to_le_bytes());
    file[56..60].copy_from_slice(b"ARM\x64");
    file[64..70].copy_from_slice(b"kernel");
    file
}

fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, data) in files.iter().chain([&("TRAILER!!!", &b""[..])]) {
        let name = format!("{name}\0");
        let numbers = [0, 0o100_644, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len(), 0];
        bytes.extend_from_slice(b"070701");
        for number in numbers {
            bytes.extend_from_slice(format!("{number:08x}").as_bytes());
        }
        for part in [name.as_bytes(), data] {
            bytes.extend_from_slice(part);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// The host's tree with one guest of two CPUs and 16 MiB.
pub(super) struct Description(pub(super) Tree, String);

impl Description {
    pub(super) fn new(name: &str) -> Self {
        let mut this = Self(Tree::new(), format!("/guests/{name}"));
        this.set("", "#address-cells", 2u32).set("", "#size-cells", 2u32).set("", "interrupt-parent", 1u32);
        this.set("/aliases", "uart0", "/uart@9000000");
        this.set("/cpus", "#address-cells", 1u32).set("/cpus", "#size-cells", 0u32);
        this.set("/cpus/cpu@0", "reg", 0u32).set("/cpus/cpu@1", "reg", 1u32);
        this.set("/memory@40000000", "device_type", "memory");
        this.set("/memory@40000000", "reg", [RAM, 16 << 20].as_slice());
        this.set("/gic", "compatible", "test,gic").set("/gic", "interrupt-controller", ());
        this.set("/gic", "#interrupt-cells", 1u32).set("/gic", "phandle", 1u32);
        this.set("/uart@9000000", "compatible", "test,uart");
        this.set("/uart@9000000", "reg", [UART, 0x1000].as_slice());
        this.set("/uart@9000000", "interrupts", PIN);
        this
    }
    /// The node at `path` of the guest's tree, made if it is not there.
    pub(super) fn at(&mut self, path: &str) -> NodeId {
        let path = format!("{}{path}", self.1);
        self.0.add_path(&path).unwrap()
    }
    pub(super) fn set(&mut self, path: &str, name: &str, value: impl fdt::Value) -> &mut Self {
        let node = self.at(path);
        self.0.set(node, name, value).unwrap();
        self
    }
    pub(super) fn unset(&mut self, path: &str, name: &str) -> &mut Self {
        let node = self.at(path);
        self.0.remove_property(node, name).unwrap();
        self
    }
    pub(super) fn kernel(&mut self, path: &str) -> &mut Self {
        self.set("/chosen", "xvisor,kernel", path)
    }
    pub(super) fn create(&self) -> Result<Arc<Guest>, CreateError> {
        manager::create(self.0.require(&self.1).unwrap())
    }
    /// The error of creating it, as people read it.
    pub(super) fn mistake(&self) -> String {
        match self.create() {
            Ok(guest) => {
                manager::destroy(&guest).unwrap();
                String::from("no mistake")
            }
            Err(error) => format!("{error}"),
        }
    }
}

/// Lets everybody else run for a while.
pub(super) fn wait() {
    host_thread::sleep(Nanos::from_millis(50));
}
