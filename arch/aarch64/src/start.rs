//! From the first Rust function to the hypervisor's own, and what a crash prints.

use core::ffi::c_void;

use arch_api::Kind;
use arch_efi::{Failed, SystemTable};
use arch_parts::columns::Columns;
use arch_parts::{above, console, image, tree};
use isa_a64::Esr;

use crate::registers::{get, set};
use crate::{clock, cpu, paging};

/// The largest device tree that the boot protocol allows (booting.rst: 2 MiB).
const LARGEST_TREE: usize = 2 << 20;

/// Called by the head with the MMU off, on the boot stack.
#[unsafe(no_mangle)]
extern "C" fn start_rust(tree: u64, image: u64) -> ! {
    cpu::start();
    let limit = image::limit() as u64;
    // The gigabyte of the image's end holds the first tables and stacks, too.
    paging::map_early(image, Kind::Data);
    paging::map_early(limit, Kind::Data);
    let tree_mapped = tree != 0
        && paging::map_early(tree, Kind::Data)
        && paging::map_early(tree + LARGEST_TREE as u64 - 1, Kind::Data);
    // SAFETY: the image was just mapped.
    unsafe {
        paging::start_early();
        set!("hcr_el2", crate::guest::HCR_HOST);
    }
    clock::start();
    // SAFETY: the boot protocol: x0 is a device tree of at most 2 MiB, which nobody writes. It was just mapped.
    let fdt = unsafe { tree::at(if tree_mapped { tree } else { 0 }, LARGEST_TREE) };
    find_console(fdt);
    above::begin(fdt, image)
}

/// Called by the head where EFI firmware started the image, on its stack and with its map: returns the device
/// tree's address, or a status with its highest bit set.
#[unsafe(no_mangle)]
extern "C" fn start_by_efi(handle: *mut c_void, table: *mut SystemTable) -> u64 {
    let level = get!("currentel") >> 2 & 3;
    let processor = match level {
        2 => Ok(()),
        3 => Err("the firmware runs at EL3, and a hypervisor has to be started at EL2"),
        _ => Err("the firmware runs at EL1, and a hypervisor has to be started at EL2 (in QEMU: \
                  -machine virtualization=on)"),
    };
    // SAFETY: the head passes on what the firmware called the image's entry point with.
    match unsafe { arch_efi::start(handle, table, processor) } {
        Ok(tree) => tree,
        Err(Failed::Return(status)) => status.as_usize() as u64,
        Err(Failed::Lost) => loop {
            core::hint::spin_loop();
        },
    }
}

/// Looks for the UART that `/chosen` names.
fn find_console(fdt: &[u8]) {
    if let Some(found) = console::find(fdt)
        && paging::map_early(found.base, Kind::Registers)
    {
        // SAFETY: just mapped, and kept by the final map.
        unsafe { console::start(found) };
    }
}

/// A fault in our own code.
pub(crate) struct Crash<'a> {
    /// What kind of vector was taken.
    pub(crate) name: &'static str,
    /// ESR_EL2.
    pub(crate) esr: Esr,
    /// ELR_EL2.
    pub(crate) elr: usize,
    /// FAR_EL2.
    pub(crate) far: u64,
    /// The stack pointer at that time.
    pub(crate) stack: usize,
    /// x0 to x30.
    pub(crate) registers: &'a [u64; 31],
}

const NAMES: [&str; 31] = [
    "X00", "X01", "X02", "X03", "X04", "X05", "X06", "X07", "X08", "X09", "X10", "X11", "X12", "X13", "X14",
    "X15", "X16", "X17", "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29",
    "X30",
];

/// Prints general-purpose registers, three in a line.
pub(crate) fn show_registers(out: &mut dyn core::fmt::Write, registers: &[u64; 31]) -> core::fmt::Result {
    let mut columns = Columns::new(out, 3, 6);
    for (name, value) in NAMES.iter().zip(registers) {
        columns.put(name, *value);
    }
    columns.end()
}

impl core::fmt::Display for Crash<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let class = self.esr.class();
        let what = class.name().unwrap_or("unknown");
        writeln!(f, "unexpected {} in the hypervisor: {what}", self.name)?;
        writeln!(
            f,
            "   ESR=0x{:08x}  ELR=0x{:016x}  FAR=0x{:016x}  SP=0x{:016x}",
            self.esr.raw(),
            self.elr,
            self.far,
            self.stack
        )?;
        show_registers(f, self.registers)?;
        if !cpu::is_readable(self.stack.wrapping_sub(16)) {
            write!(f, "   the stack is exhausted or broken")?;
        }
        Ok(())
    }
}

/// Tells of it and ends.
pub(crate) fn crash(crash: Crash<'_>) -> ! {
    above::crashed(&crash, crash.registers[29], crash.elr)
}
