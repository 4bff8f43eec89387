//! What the device tree says of this machine, read once.

use core::cell::UnsafeCell;

use fdt::{Early, EarlyNode, Region};

use super::firmware::{self, Conduit};
use super::gic::Gic;
use super::head::MAX_CPUS;

/// Windows of device registers that are remembered.
const MAX_DEVICES: usize = 64;
/// Banks of RAM that are remembered.
const MAX_BANKS: usize = 8;

/// Devices of the bare machine that may be written with anything: others reach for memory, or let QEMU
/// allocate without bound. A guest's devices all have to bear it.
const HARMLESS: &[&str] = &["arm,pl011", "arm,pl031", "arm,gic-v3", "arm,cortex-a15-gic"];

/// This machine.
pub(crate) struct Machine {
    /// The program's name, and its arguments.
    pub(crate) bootargs: &'static str,
    /// The console, a PL011.
    pub(crate) uart: u64,
    /// The interrupt controller.
    pub(crate) gic: Gic,
    /// The PL031, if there is one.
    pub(crate) rtc: Option<u64>,
    /// How firmware is called.
    pub(crate) conduit: Conduit,
    /// Whether a hypervisor says that it is there.
    pub(crate) hypervised: bool,
    /// The image, zeroed data and stacks included.
    pub(crate) image: Region,
    /// The device tree.
    pub(crate) tree: Region,
    /// The initial RAM disk.
    pub(crate) initrd: Option<Region>,
    ram: List<MAX_BANKS, Region>,
    cpus: List<MAX_CPUS, u64>,
    devices: List<MAX_DEVICES, Region>,
}

/// A few values; more than fit are forgotten.
struct List<const N: usize, T> {
    values: [T; N],
    count: usize,
}

impl<const N: usize, T: Copy> List<N, T> {
    fn collect(zero: T, values: impl Iterator<Item = T>) -> Self {
        let mut list = List { values: [zero; N], count: 0 };
        for (slot, value) in list.values.iter_mut().zip(values) {
            *slot = value;
            list.count += 1;
        }
        list
    }

    fn get(&self) -> &[T] {
        &self.values[..self.count]
    }
}

impl Machine {
    fn read(blob: &'static [u8], image: Region) -> Option<Machine> {
        let tree = Early::new(blob).ok()?;
        let compatible = |model: &'static str| tree.nodes().find(move |node| node.is_compatible(model));
        let chosen = tree.chosen();
        let register = |node: EarlyNode<'_>| node.reg().next().map(|region| region.start);
        let gic = match compatible("arm,gic-v3") {
            Some(node) => Gic::V3 { distributor: register(node)?, redistributors: node.reg().nth(1)?.start },
            None => {
                let node = compatible("arm,cortex-a15-gic").or_else(|| compatible("arm,gic-400"))?;
                Gic::V2 { distributor: register(node)?, interface: node.reg().nth(1)?.start }
            }
        };
        let smc =
            compatible("arm,psci-1.0").or_else(|| compatible("arm,psci-0.2"))?.str("method") == Some("smc");
        let conduit = if smc { Conduit::Smc } else { Conduit::Hvc };
        let cpus = tree.nodes().filter(|node| node.str("device_type") == Some("cpu")).filter_map(|node| {
            let bytes = node.property("reg")?;
            Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
        });
        let hypervised = firmware::is_hypervised(conduit);
        // Device registers are below the RAM on these machines, and mapped as such.
        let devices = tree
            .nodes()
            .filter(|node| node.str("device_type") != Some("cpu"))
            .filter(|node| hypervised || HARMLESS.iter().any(|model| node.is_compatible(model)))
            .flat_map(EarlyNode::reg)
            .filter(|region| region.start >= 0x1000 && region.start < 1 << 30);
        let none = Region { start: 0, size: 0 };
        Some(Machine {
            bootargs: chosen.bootargs.unwrap_or(""),
            uart: compatible("arm,pl011").and_then(register)?,
            gic,
            rtc: compatible("arm,pl031").and_then(register),
            conduit,
            hypervised,
            image,
            tree: Region { start: blob.as_ptr() as u64, size: tree.total_size() as u64 },
            initrd: chosen.initrd.map(|range| Region { start: range.start, size: range.end - range.start }),
            ram: List::collect(none, tree.memory()),
            cpus: List::collect(0, cpus),
            devices: List::collect(none, devices),
        })
    }

    /// The RAM, bank by bank.
    pub(crate) fn ram(&self) -> &[Region] {
        self.ram.get()
    }

    /// The affinities of all CPUs.
    pub(crate) fn cpus(&self) -> &[u64] {
        self.cpus.get()
    }

    /// The windows of all devices.
    pub(crate) fn devices(&self) -> &[Region] {
        self.devices.get()
    }

    /// Whether this address is RAM.
    pub(crate) fn is_ram(&self, address: u64) -> bool {
        self.ram().iter().any(|bank| address.wrapping_sub(bank.start) < bank.size)
    }
}

struct Global(UnsafeCell<Option<Machine>>);

// SAFETY: written once, by `find`, before there is another CPU or an interrupt.
unsafe impl Sync for Global {}

static MACHINE: Global = Global(UnsafeCell::new(None));

/// Reads the tree. Returns whether there was what is needed; there is no console to complain on.
pub(crate) fn find(tree: u64, image: Region) -> bool {
    // SAFETY: the loader's promise: x0 is the address of a tree, whose size is in its header; nobody
    // changes it.
    let blob = unsafe {
        let size = u32::from_be(*((tree + 4) as *const u32));
        core::slice::from_raw_parts(tree as *const u8, size as usize)
    };
    let machine = Machine::read(blob, image);
    let found = machine.is_some();
    // SAFETY: nobody else is there yet.
    unsafe { *MACHINE.0.get() = machine };
    found
}

/// This machine.
pub(crate) fn machine() -> &'static Machine {
    // SAFETY: after `find` it is only read.
    let machine = unsafe { &*MACHINE.0.get() };
    match machine {
        Some(machine) => machine,
        // `start` stops before, when nothing was found.
        None => loop {
            super::registers::wfi();
        },
    }
}
