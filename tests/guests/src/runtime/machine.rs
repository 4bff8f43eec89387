//! What the device tree says of this machine, read once.

use core::cell::UnsafeCell;

use fdt::{Early, EarlyNode, Region};

use crate::arch::machine::{self as arch, Parts};
use crate::arch::{MAX_CPUS, power};

/// Windows of device registers that are remembered.
const MAX_DEVICES: usize = 64;
/// Banks of RAM that are remembered.
const MAX_BANKS: usize = 8;

/// This machine.
pub(crate) struct Machine {
    /// The program's name, and its arguments.
    pub(crate) bootargs: &'static str,
    /// The console.
    pub(crate) uart: u64,
    /// The real-time clock, if there is one.
    pub(crate) rtc: Option<u64>,
    /// What only this architecture's machines have.
    pub(crate) parts: Parts,
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
        let parts = Parts::read(tree)?;
        let cpus = tree.nodes().filter(|node| node.str("device_type") == Some("cpu")).filter_map(|node| {
            let bytes = node.property("reg")?;
            Some(bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte)))
        });
        let hypervised = parts.is_hypervised();
        // Device registers are below the RAM on these machines, and mapped as such.
        let devices = tree
            .nodes()
            .filter(|node| node.str("device_type") != Some("cpu"))
            .filter(|node| hypervised || arch::HARMLESS.iter().any(|model| node.is_compatible(model)))
            .flat_map(EarlyNode::reg)
            .filter(|region| region.start >= 0x1000 && region.start < 1 << 30);
        let none = Region { start: 0, size: 0 };
        // The one that runs is the first, whichever firmware chose.
        let mut cpus = List::collect(0, cpus);
        if let Some(first) = cpus.get().iter().position(|&cpu| cpu == power::own_id()) {
            cpus.values.swap(0, first);
        }
        Some(Machine {
            bootargs: chosen.bootargs.unwrap_or(""),
            uart: compatible(arch::UART).and_then(register)?,
            rtc: compatible(arch::RTC).and_then(register),
            parts,
            hypervised,
            image,
            tree: Region { start: blob.as_ptr() as u64, size: tree.total_size() as u64 },
            initrd: chosen.initrd.map(|range| Region { start: range.start, size: range.end - range.start }),
            ram: List::collect(none, tree.memory()),
            cpus,
            devices: List::collect(none, devices),
        })
    }

    /// The RAM, bank by bank.
    pub(crate) fn ram(&self) -> &[Region] {
        self.ram.get()
    }

    /// What firmware calls the CPUs; the one that started is the first.
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
    // SAFETY: the loader's promise: the address of a tree, whose size is in its header; nobody
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
