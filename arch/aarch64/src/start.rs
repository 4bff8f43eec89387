//! From the first Rust function to the hypervisor's own, and what a crash prints.

use core::ffi::c_void;

use addr::{Hpa, Span};
use arch_api::{Kind, StartInfo};
use arch_efi::{Failed, SystemTable};
use arch_parts::{console, image};
use isa_a64::Esr;

use crate::registers::{get, set};
use crate::{clock, cpu, paging};

unsafe extern "Rust" {
    /// Where the hypervisor begins; the binary defines it.
    safe fn hypervisor_main(info: StartInfo) -> !;
    /// What a crash of our own ends in; the binary defines it.
    safe fn hypervisor_crashed(what: &core::fmt::Arguments<'_>, frame: usize, pc: usize) -> !;
}

/// Bytes of a device tree that are looked at before its header told its size.
const HEADER: usize = 64;
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
        && tree & 7 == 0
        && paging::map_early(tree, Kind::Data)
        && paging::map_early(tree + LARGEST_TREE as u64 - 1, Kind::Data);
    // SAFETY: the image was just mapped.
    unsafe {
        paging::start_early();
        set!("hcr_el2", crate::guest::HCR_HOST);
    }
    clock::start();
    let fdt: &'static [u8] = if tree_mapped {
        // SAFETY: the boot protocol: x0 is a device tree of at most 2 MiB; nobody writes it.
        let header = unsafe { core::slice::from_raw_parts(tree as *const u8, HEADER) };
        match fdt::total_size(header) {
            Ok(size) if size <= LARGEST_TREE => {
                // SAFETY: as above, with the size that its header tells.
                unsafe { core::slice::from_raw_parts(tree as *const u8, size) }
            }
            _ => &[],
        }
    } else {
        &[]
    };
    find_console(fdt);
    let image = match Span::<Hpa>::new(Hpa::new(image), limit - image) {
        Some(image) => image,
        // The end of an image lies above its start.
        None => unreachable!(),
    };
    hypervisor_main(StartInfo { fdt, image })
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
        for (n, x) in self.registers.iter().enumerate() {
            write!(f, "   X{n:02}=0x{x:016x}{}", if n % 3 == 2 { "\n" } else { "" })?;
        }
        if !cpu::is_readable(self.stack.wrapping_sub(16)) {
            write!(f, "\n   the stack is exhausted or broken")?;
        }
        Ok(())
    }
}

/// Tells of it and ends.
pub(crate) fn crash(crash: Crash<'_>) -> ! {
    let frame = crash.registers.get(29).copied().unwrap_or(0) as usize;
    let pc = crash.elr;
    hypervisor_crashed(&format_args!("{crash}"), frame, pc)
}
