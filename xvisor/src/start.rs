//! The order of start-up: the console, memory, threads, drivers, guests, the terminal.
#![expect(unsafe_code, reason = "start-up code calls this by a name that is not mangled")]

use addr::{Hpa, Span};
use alloc::vec::Vec;
use arch::{Boot, Cpu, IrqsOff, LocalIrqs, Machine, StartInfo, Virt};
use drivers::Stage;
use fdt::{Early, Region, Tree};
use host_mem::peek::keep_out;

use crate::options::Options;

/// Called by start-up code, on the boot CPU, with the image mapped and the early console on.
#[unsafe(no_mangle)]
fn hypervisor_main(info: StartInfo) -> ! {
    host_log::set_sink(Machine::early_print);
    Machine::early_print("\n");
    Machine::early_print(commands::BANNER);
    Machine::early_print("\n\n");
    if let Err(why) = start(info) {
        panic!("{why}");
    }
    host_thread::exit()
}

/// Why the hypervisor can't start: what is wrong with the host.
type Wrong = alloc::string::String;

fn start(info: StartInfo) -> Result<(), Wrong> {
    host_log::init!("host address space");
    let early = Early::new(info.fdt)
        .unwrap_or_else(|why| panic!("the boot loader gave no usable device tree: {why}"));
    start_memory(early, &info);

    host_log::init!("device tree");
    let tree = Tree::from_blob(info.fdt).map_err(wrong("the host's device tree"))?;
    keep_out_of_the_firmware(&tree);
    let options = Options::parse(tree.bootargs().ok().flatten().unwrap_or_default());

    host_log::init!("host irq subsystem");
    host_irq::set_tail(host_thread::preempt_if_asked);
    Machine::on_interrupt(host_irq::entry);
    host_log::init!("hypervisor threads");
    host_thread::start().map_err(wrong("the first thread"))?;
    <Machine as Virt>::enable(&IrqsOff::now())
        .map_err(|arch::NoVirt(why)| alloc::format!("guests cannot run here: {why}"))?;

    host_log::init!("device driver framework");
    if let Some(seed) = tree.find("/chosen").and_then(|chosen| chosen.property("rng-seed")) {
        vm_vcpu::entropy::stir(seed.bytes());
    }
    drivers::probe(&tree, Stage::ALL);
    drivers::report();
    check_drivers()?;
    start_cpus(&tree);
    choose_console(&tree, &options);
    set_wall_clock(&options);

    host_log::init!("device emulation framework");
    vm_machine::host_cpu::learn(&tree);
    vm_machine::manager::use_catalog(emulators::CATALOG);
    publish_initrd(&tree);
    commands::tree::set(tree);

    if !options.stays && host_cpus::list().len() > 1 {
        daemons::balance::start().map_err(wrong("load balancing"))?;
    }
    host_log::init!("management terminal");
    daemons::mterm::start(options.bootcmd.as_deref(), GREETING).map_err(wrong("the terminal"))?;
    Ok(())
}

/// Brings the other CPUs up; what does not come is named, and the boot goes on.
fn start_cpus(tree: &Tree) {
    let count = drivers::cpus::start(tree);
    let ipis = Machine::ipis(&IrqsOff::now());
    host_log::init!("brought up {count} CPU{}; IPIs by {ipis}", if count == 1 { "" } else { "s" });
}

/// What the terminal shows before its first prompt.
const GREETING: &str =
    "Type \"help\" for the commands, Tab to complete. \"vserial bind guest0/uart0\" attaches to a guest.";

/// Makes the boot loader's initrd known to `vfs mount`.
fn publish_initrd(tree: &Tree) {
    let Some(range) = tree.initrd().ok().flatten() else { return };
    let span = Span::<Hpa>::new(Hpa::new(range.start), range.end - range.start);
    match span.and_then(host_mem::boot_image) {
        Some(bytes) => host_vfs::publish_image("initrd", bytes),
        None => host_log::warn!("the initrd at {:#x} is not in RAM: ignored", range.start),
    }
}

/// Turns an error into a line that names what was being done.
fn wrong<E: core::fmt::Display>(what: &'static str) -> impl Fn(E) -> Wrong {
    move |error| alloc::format!("{what}: {error}")
}

/// The terminal is not to look at what the firmware keeps for itself.
fn keep_out_of_the_firmware(tree: &Tree) {
    let regions = tree.root().child("reserved-memory").into_iter().flat_map(|node| node.children());
    for node in regions.filter(|node| node.flag("no-map")) {
        let spans = node.reg().unwrap_or_default().into_iter();
        spans.filter_map(|region| Span::<Hpa>::new(Hpa::new(region.start), region.size)).for_each(keep_out);
    }
}

/// Memory as the device tree tells it, without what is reserved or given to us.
fn start_memory(early: Early<'_>, info: &StartInfo) {
    // There is no heap yet: as many as fit here, which is more than any board has.
    let mut banks = Spans::<32>::default();
    let mut reserved = Spans::<64>::default();
    early.memory().for_each(|region| banks.push(region));
    early.reserved().for_each(|region| reserved.push(region));
    reserved.push(Region { start: info.fdt.as_ptr() as u64, size: info.fdt.len() as u64 });
    if let Some(initrd) = early.chosen().initrd {
        reserved.push(Region { start: initrd.start, size: initrd.end - initrd.start });
    }
    host_log::init!("heap management");
    let layout = host_mem::Layout { banks: banks.get(), reserved: reserved.get(), image: info.image };
    if let Err(why) = host_mem::init(&layout) {
        panic!("memory: {why}");
    }
}

/// A list of spans before there is a heap.
struct Spans<const N: usize> {
    spans: [Span<Hpa>; N],
    count: usize,
}

impl<const N: usize> Default for Spans<N> {
    fn default() -> Self {
        const EMPTY: Span<Hpa> = match Span::<Hpa>::new(Hpa::new(0), 0) {
            Some(span) => span,
            None => unreachable!(),
        };
        Self { spans: [EMPTY; N], count: 0 }
    }
}

impl<const N: usize> Spans<N> {
    fn push(&mut self, region: Region) {
        match (Span::<Hpa>::new(Hpa::new(region.start), region.size), self.spans.get_mut(self.count)) {
            (Some(span), Some(slot)) => {
                *slot = span;
                self.count += 1;
            }
            _ => {
                host_log::warn!("the device tree's region at {:#x} is not understood: ignored", region.start)
            }
        }
    }

    fn get(&self) -> &[Span<Hpa>] {
        self.spans.get(..self.count).unwrap_or_default()
    }
}

/// Without these nothing can work; each is named with what the tree should have had.
fn check_drivers() -> Result<(), Wrong> {
    let running: Vec<&str> = drivers::devices()
        .iter()
        .filter(|device| matches!(device.state, drivers::State::Running))
        .map(|device| device.class)
        .collect();
    for (class, what) in [("irqchip", "interrupt controller"), ("clock", "timer with an interrupt for us")] {
        if !running.contains(&class) {
            let known: Vec<&str> = drivers::CATALOG
                .iter()
                .copied()
                .flatten()
                .filter(|driver| driver.class == class)
                .flat_map(|driver| driver.compatible.iter().copied())
                .collect();
            let known = known.join(", ");
            return Err(alloc::format!("the host's device tree has no usable {what} (known are {known})"));
        }
    }
    Ok(())
}

/// The terminal's device: the boot argument, then `stdout-path`, then any.
fn choose_console(tree: &Tree, options: &Options) {
    let wanted = options.console.as_deref();
    let stdout = tree.stdout().ok().flatten().map(|stdout| stdout.node.path());
    // Devices are called after their nodes; a path or an alias leads to the node.
    let by_name =
        |name: &str| vio::chardev::find(name).or_else(|| vio::chardev::find(tree.find(name)?.name()));
    let found = wanted.and_then(by_name);
    if let (Some(name), None) = (wanted, &found) {
        host_log::warn!("boot argument vmm.console={name}: there is no such device");
    }
    let found =
        found.or_else(|| by_name(stdout.as_deref()?)).or_else(|| vio::chardev::list().into_iter().next());
    match found {
        Some(device) => {
            host_log::init!("change stdio device to {}", device.name());
            vio::chardev::set_console(device);
        }
        None => host_log::warn!("no console: the terminal cannot be used"),
    }
}

/// The wall clock is set from the clock that the boot argument names, or from the first one.
fn set_wall_clock(options: &Options) {
    let devices = vio::rtc::list();
    let found = match &options.rtc {
        Some(name) => devices.iter().find(|device| device.name() == name),
        None => devices.first(),
    };
    let Some(device) = found else { return };
    match device.time() {
        Ok(seconds) => {
            host_thread::time::wall::set(seconds);
            host_log::init!("syncup wallclock using {}", device.name());
        }
        Err(why) => host_log::warn!("{}: {why:?}", device.name()),
    }
}
