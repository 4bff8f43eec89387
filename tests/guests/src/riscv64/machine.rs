//! What the device tree says of this machine beside what all have.

use fdt::{Early, EarlyNode};
use isa_firmware::sbi::{Extension, base};

use super::firmware;
use super::imsic::Imsic;
use super::plic::Plic;
use super::power::own_id;

/// The console's model.
pub(crate) const UART: &str = "ns16550a";
/// The real-time clock's.
pub(crate) const RTC: &str = "google,goldfish-rtc";

/// Devices of the bare machine that may be written with anything: others reach for memory, power the machine off, or
/// let QEMU allocate without bound. A guest's devices all have to bear it.
pub(crate) const HARMLESS: &[&str] = &[UART, RTC, "riscv,plic0"];

/// What is found.
pub(crate) struct Parts {
    /// The interrupt controller, where it is this one.
    pub(crate) plic: Option<Plic>,
    /// The interrupt files, where it is these.
    pub(crate) imsic: Option<Imsic>,
    /// Ticks of the counter in a second.
    pub(crate) frequency: u64,
    /// Whether there is `stimecmp`.
    pub(crate) sstc: bool,
    /// The CPU's `riscv,isa`.
    isa: &'static str,
}

impl Parts {
    pub(crate) fn read(tree: Early<'static>) -> Option<Self> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let cpu = tree.nodes().find(|node| {
            node.str("device_type") == Some("cpu") && node.property("reg").map(number) == Some(own_id())
        })?;
        let frequency = tree.find("/cpus").and_then(|cpus| cpus.property("timebase-frequency"));
        let plic = tree.nodes().find(|node| node.is_compatible("riscv,plic0"));
        let mut files = tree.nodes().filter(|node| node.is_compatible("riscv,imsics"));
        let isa = cpu.str("riscv,isa").unwrap_or("");
        Some(Self {
            sstc: isa.split('_').any(|name| name == "sstc"),
            plic: plic.and_then(plic_of),
            imsic: files.find_map(Imsic::read),
            frequency: number(frequency?),
            isa,
        })
    }

    /// Whether the CPU has an extension whose name has several letters.
    #[inline(always)]
    pub(crate) fn has(&self, extension: &str) -> bool {
        self.isa.split('_').skip(1).any(|name| name == extension)
    }

    /// Whether it has one whose name is a letter.
    pub(crate) fn has_letter(&self, letter: char) -> bool {
        let letters = self.isa.split('_').next().unwrap_or("");
        letters.get(4..).is_some_and(|letters| letters.contains(letter))
    }

    /// Whether a hypervisor says that it is there.
    pub(crate) fn is_hypervised(&self) -> bool {
        firmware::call(Extension::Base, base::GET_IMPL_ID, [0; 4]) == (0, base::IMPL_XVISOR)
    }
}

/// Contexts come in the order of `interrupts-extended`, whose elements are a CPU's handle and a number. CPU 0's
/// supervisor is the first 9.
fn plic_of(node: EarlyNode<'_>) -> Option<Plic> {
    let cell = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
    let wired = node.property("interrupts-extended")?;
    let mut contexts = wired.chunks_exact(8).map(|element| cell(&element[4..]));
    let context = contexts.position(|number| number == isa_plic::SUPERVISOR_EXTERNAL)?;
    let sources = cell(node.property("riscv,ndev")?);
    Some(Plic { at: node.reg().next()?.start, sources, context: context as u32 })
}
