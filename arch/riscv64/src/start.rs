//! From the first Rust function to the hypervisor's own, and what a crash prints.

use core::ffi::c_void;

use arch_efi::{Failed, SystemTable};
use arch_parts::columns::Columns;
use arch_parts::{above, console, tree};
use fdt::Early;
use isa_rv::cause;
use isa_rv::extensions::{Extension, Extensions};

use crate::csr::attempt;
use crate::guest::envcfg::PBMTE;
use crate::guest::files::doubt_signals;
use crate::{clock, cpu, sbi};

/// The largest device tree that is taken: what Linux maps for one.
const LARGEST_TREE: usize = 4 << 20;

/// The oldest SBI that we can be started by: HSM, and the rules for what is not there.
const SBI: (u64, u64) = (1, 0);

/// Called by the head with nothing translated, on the boot stack. `has_h` is not zero when the hypervisor's
/// registers are there.
#[unsafe(no_mangle)]
extern "C" fn start_rust(hart: u64, tree: u64, image: u64, has_h: u64) -> ! {
    cpu::start(hart);
    sbi::start();
    // SAFETY: the boot protocol: a1 is a device tree, which nobody writes. Nothing is translated.
    let fdt = unsafe { tree::at(tree, LARGEST_TREE) };
    if let Some(found) = console::find(fdt) {
        // SAFETY: nothing is translated, so registers are seen where they are; `paging` maps them so, too.
        unsafe { console::start(found) };
    }
    let (isa, frequency) = Early::new(fdt).map_or((Extensions::NONE, None), |tree| read_cpu(tree, hart));
    if has_h == 0 || (isa != Extensions::NONE && !isa.has(Extension::H)) {
        cpu::print(
            "\nXvisor: this hart has no hypervisor extension (H): guests can't run, and neither can we.\n",
        );
        cpu::stop();
    }
    if sbi::version() < SBI {
        cpu::print("\nXvisor: the machine's firmware is older than version 1.0 of the SBI.\n");
        cpu::stop();
    }
    // QEMU's virt board.
    let root = Early::new(fdt).ok().and_then(|tree| tree.find("/"));
    if root.is_some_and(|root| root.is_compatible("riscv-virtio")) {
        doubt_signals();
    }
    let lacking = lacking(isa);
    cpu::set_extensions(isa.without(lacking), lacking);
    match frequency {
        Some(frequency) if frequency != 0 => clock::start(frequency),
        _ => {
            cpu::print("\nXvisor: the device tree says no timebase-frequency in /cpus: there is no time.\n");
            cpu::stop();
        }
    }
    above::begin(fdt, image)
}

/// Called by the head where EFI firmware started the image, on its stack and with its map: returns the device tree's
/// address, or a status with its highest bit set; `hart` is the id of the hart that runs.
#[unsafe(no_mangle)]
extern "C" fn start_by_efi(handle: *mut c_void, table: *mut SystemTable, hart: &mut u64) -> u64 {
    // SAFETY: the head passes on what the firmware called the image's entry point with.
    let processor = match unsafe { arch_efi::boot_hart(handle, table) } {
        Some(id) => {
            *hart = id;
            Ok(())
        }
        None => {
            Err("the firmware does not say which hart this is, neither by RISCV_EFI_BOOT_PROTOCOL nor by \
                     boot-hartid in /chosen")
        }
    };
    // SAFETY: as above.
    match unsafe { arch_efi::start(handle, table, processor) } {
        Ok(tree) => tree,
        Err(Failed::Return(status)) => status.as_usize() as u64,
        Err(Failed::Lost) => cpu::stop(),
    }
}

/// What the tree says of the harts, the one that started and others, and of time.
fn read_cpu(tree: Early<'_>, hart: u64) -> (Extensions, Option<u64>) {
    let number = |node: fdt::EarlyNode<'_>, name: &str| {
        let bytes = node.property(name)?;
        let cell = |at: usize| Some(u64::from(u32::from_be_bytes(*bytes.get(at..)?.first_chunk::<4>()?)));
        if bytes.len() == 8 { Some(cell(0)? << 32 | cell(4)?) } else { cell(0) }
    };
    let mut frequency = tree.find("/cpus").and_then(|cpus| number(cpus, "timebase-frequency"));
    let harts = || tree.nodes().filter(|node| node.str("device_type") == Some("cpu"));
    let isa = |node: fdt::EarlyNode<'_>| {
        Extensions::from_node(node.property("riscv,isa-extensions"), node.str("riscv,isa"))
    };
    let mut own = Extensions::NONE;
    for node in harts() {
        frequency = frequency.or_else(|| number(node, "timebase-frequency"));
        if number(node, "reg") == Some(hart) {
            own = isa(node);
        }
    }
    let are_there = |node: &fdt::EarlyNode<'_>| node.str("status").is_none_or(|status| status == "okay");
    (Extensions::common(own, harts().filter(are_there).map(isa)), frequency)
}

/// What of `isa` is not there, or is kept by the firmware (`menvcfg`, `mstateen0`): to use it would be a fault. H is there.
fn lacking(isa: Extensions) -> Extensions {
    // SAFETY: interrupts are masked. Nothing rings at that time, nothing is selected, and no guest is there.
    let (timer, states, files, types) = unsafe {
        (
            attempt!("csrrw {value}, stimecmp, {operand}", u64::MAX),
            attempt!("csrrw {value}, hstateen0, {operand}", 0),
            attempt!("csrrw {value}, siselect, {operand}", 0),
            attempt!("csrrs {value}, henvcfg, {operand}\ncsrrc {value}, henvcfg, {operand}", PBMTE),
        )
    };
    let found = [
        (Extension::Sstc, timer.is_some()),
        (Extension::Smstateen, states.is_some()),
        (Extension::Ssstateen, states.is_some()),
        (Extension::Ssaia, files.is_some()),
        // It stays zero where it is zero in `menvcfg`.
        (Extension::Svpbmt, types.is_some_and(|value| value & PBMTE != 0)),
    ];
    let named_only = |(extension, there): &(Extension, bool)| !there && isa.has(*extension);
    found
        .iter()
        .filter(|found| named_only(found))
        .fold(Extensions::NONE, |set, (extension, _)| set.with(*extension))
}

/// A fault in our own code.
pub(crate) struct Crash<'a> {
    /// `scause`
    pub(crate) cause: u64,
    /// `sepc`
    pub(crate) pc: usize,
    /// `stval`
    pub(crate) value: u64,
    /// x0 to x31; x0 counts for nothing.
    pub(crate) registers: &'a [u64; 32],
}

const NAMES: [&str; 32] = [
    "ZERO", "RA", "SP", "GP", "TP", "T0", "T1", "T2", "S0", "S1", "A0", "A1", "A2", "A3", "A4", "A5", "A6",
    "A7", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "T3", "T4", "T5", "T6",
];

/// Prints general-purpose registers, three in a line.
pub(crate) fn show_registers(out: &mut dyn core::fmt::Write, registers: &[u64; 32]) -> core::fmt::Result {
    let mut columns = Columns::new(out, 3, 6);
    for (name, value) in NAMES.iter().zip(registers).skip(1) {
        columns.put(name, *value);
    }
    columns.end()
}

impl core::fmt::Display for Crash<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let what = cause::name(self.cause).unwrap_or("unknown exception");
        let stack = self.registers.get(2).copied().unwrap_or(0);
        writeln!(f, "unexpected {what} in the hypervisor")?;
        writeln!(
            f,
            "   SCAUSE={}  SEPC=0x{:016x}  STVAL=0x{:016x}  SP=0x{stack:016x}",
            self.cause, self.pc, self.value,
        )?;
        show_registers(f, self.registers)?;
        if !cpu::is_readable((stack as usize).wrapping_sub(16) & !7) {
            write!(f, "   the stack is exhausted or broken")?;
        }
        Ok(())
    }
}

/// Tells of it and ends.
pub(crate) fn crash(crash: Crash<'_>) -> ! {
    above::crashed(&crash, crash.registers[8], crash.pc)
}
