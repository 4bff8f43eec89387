//! Accesses through tables of this guest's own (Priv, "Sv39"): those that begin in one page and end in another, and
//! tables that lie where no memory is.

use core::arch::asm;
use core::cell::UnsafeCell;

use isa_plic::Register;
use isa_rv::cause;

use crate::arch::mmio::{load8, load32, store32};
use crate::runtime::faults::{Fault, attempt};
use crate::runtime::machine::machine;
use crate::selfcheck::Report;

const ENTRIES: usize = 512;
const PAGE: u64 = 4096;

/// The root, a table below it, one below that, and pages of memory.
#[repr(C, align(4096))]
struct Pages(UnsafeCell<[[u64; ENTRIES]; 6]>);

// SAFETY: only the first CPU runs this.
unsafe impl Sync for Pages {}

static PAGES: Pages = Pages(UnsafeCell::new([[0; ENTRIES]; 6]));

const ROOT: u64 = 0;
const MIDDLE: u64 = 1;
const LOWEST: u64 = 2;
const FIRST: u64 = 3;
const LAST: u64 = 5;

const SV39: u64 = 8 << 60;
const VALID: u64 = 1;
/// V, R, W, X, A and D.
const LEAF: u64 = 0xcf;

/// Where the tables show what follows, a page each: memory, a device, memory, memory that is elsewhere, nothing.
const HERE: u64 = 4 << 30;
const DEVICE: u64 = HERE + PAGE;
const BEHIND: u64 = HERE + 2 * PAGE;
const ELSEWHERE: u64 = HERE + 3 * PAGE;
const UNMAPPED: u64 = HERE + 4 * PAGE;
/// The tables for this are at nothing.
const LOST: u64 = 5 << 30;
/// And for this among a device's registers.
const REGISTERS: u64 = 6 << 30;
/// Nothing lies here.
const NOTHING: u64 = 0x3_0000_0000;

fn page(index: u64) -> u64 {
    PAGES.0.get() as u64 + index * PAGE
}

fn entry(table: u64, index: u64, address: u64, flags: u64) {
    let at = page(table) + index * 8;
    // SAFETY: a word of the pages above.
    unsafe { (at as *mut u64).write_volatile(address >> 12 << 10 | flags) };
}

fn translate(satp: u64) {
    // SAFETY: all that this program needs is mapped as it is.
    unsafe { asm!("sfence.vma", "csrw satp, {}", "sfence.vma", "fence.i", in(reg) satp, options(nostack)) }
}

pub(super) fn run(report: &mut Report) {
    let Some(plic) = machine().parts.plic.filter(|_| machine().hypervised) else {
        report.skip("accesses through tables");
        return;
    };
    let device = plic.register(Register::Enable(plic.context, 0)) & !(PAGE - 1);
    for gigabyte in 0..4 {
        entry(ROOT, gigabyte, gigabyte << 30, LEAF);
    }
    entry(ROOT, HERE >> 30, page(MIDDLE), VALID);
    entry(ROOT, LOST >> 30, NOTHING, VALID);
    entry(ROOT, REGISTERS >> 30, device, VALID);
    entry(MIDDLE, 0, page(LOWEST), VALID);
    for (index, address) in [page(FIRST), device, page(LAST), page(FIRST)].into_iter().enumerate() {
        entry(LOWEST, index as u64, address, LEAF);
    }
    translate(SV39 | page(ROOT) >> 12);
    across(report);
    instruction(report);
    tables(report);
    translate(0);
}

/// The cause and address of the exception that an instruction with its base in a0 makes.
macro_rules! told {
    ($base:expr, $code:tt) => {
        attempt(||
            // SAFETY: what lies there is this part's own, or faults and is stepped over.
            unsafe { asm!($code, in("a0") $base, inout("a1") 0x5a5a_5a5a_5a5a_u64 => _, options(nostack)) })
        .err()
        .map(|Fault { cause, address }| (cause, address))
    };
}

/// Half in memory, and half in a device: neither device nor register sees it.
fn across(report: &mut Report) {
    // Sources 1 to 31 of the context.
    let register = DEVICE
        + machine().parts.plic.map_or(0, |plic| plic.register(Register::Enable(plic.context, 0)) % PAGE);
    store32(register, 0);
    for (at, size) in [(DEVICE - 4, 8), (DEVICE - 2, 4), (DEVICE - 1, 2), (BEHIND - 4, 8), (BEHIND - 2, 4)] {
        let (load, store) = match size {
            8 => (told!(at, "ld a1, 0(a0)"), told!(at, "sd a1, 0(a0)")),
            4 => (told!(at, "lw a1, 0(a0)"), told!(at, "sw a1, 0(a0)")),
            _ => (told!(at, "lh a1, 0(a0)"), told!(at, "sh a1, 0(a0)")),
        };
        let is_refused = |told: Option<(u64, u64)>, causes: [u64; 2]| {
            told.is_some_and(|(cause, address)| causes.contains(&cause) && address == at)
        };
        report.check(
            "a load that is half in a device is refused",
            is_refused(load, [cause::LOAD_MISALIGNED, cause::LOAD_ACCESS]),
        );
        report.check("so is a store", is_refused(store, [cause::STORE_MISALIGNED, cause::STORE_ACCESS]));
    }
    report.equal("and has no effect", load32(register), 0);
}

/// A load that itself lies in two pages, which are not neighbours in memory.
fn instruction(report: &mut Report) {
    let at = ELSEWHERE - 2;
    // lbu a1, 5(a0); ret
    let code = [0x83_u8, 0x45, 0x55, 0x00, 0x67, 0x80, 0x00, 0x00];
    for (offset, byte) in code.into_iter().enumerate() {
        crate::arch::mmio::store8(at + offset as u64, byte);
    }
    let mut a1 = u64::MAX;
    let uart = machine().uart;
    let status = load8(uart + isa_uart::LSR);
    // SAFETY: the code above, which reads a register of the UART.
    let done = attempt(|| unsafe {
        asm!("fence.i", "jalr {}", in(reg) at, in("a0") uart, inout("a1") a1, out("ra") _, options(nostack))
    });
    report.equal(
        "an instruction in two pages loads from a device",
        (done.is_ok(), a1),
        (true, status.into()),
    );
}

/// What is asked for cannot be found out.
fn tables(report: &mut Report) {
    for (what, at) in [("tables at nothing", LOST), ("tables in a device", REGISTERS)] {
        report.equal(what, told!(at + 8, "ld a1, 0(a0)"), Some((cause::LOAD_ACCESS, at + 8)));
        report.equal("  a store", told!(at + 8, "sd a1, 0(a0)"), Some((cause::STORE_ACCESS, at + 8)));
        report.equal("  a byte", told!(at + 9, "lbu a1, 0(a0)"), Some((cause::LOAD_ACCESS, at + 9)));
        // SAFETY: the call to nowhere comes back by the exception handler.
        let told = attempt(|| unsafe { asm!("jalr {}", in(reg) at, clobber_abi("C")) }).err();
        report.equal(
            "  a jump",
            told.map(|fault| (fault.cause, fault.address)),
            Some((cause::FETCH_ACCESS, at)),
        );
    }
    report.equal("no entry", told!(UNMAPPED, "ld a1, 0(a0)"), Some((cause::LOAD_PAGE, UNMAPPED)));
}
