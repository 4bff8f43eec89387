//! Interrupt files (AIA 1.0, chapter 3): the hart's own, and the pages of all.

use fdt::EarlyNode;
use isa_aia::imsic::{DELIVER, FILE_SIZE, SETEIPNUM_LE, select};
use isa_plic::SUPERVISOR_EXTERNAL;

use super::mmio::store32;
use super::registers::{get, set};

/// The identity that says: another hart wants something.
pub(crate) const FROM_CPU: u32 = 1;

/// The supervisors' files of this machine. The file of hart n is the nth, as on QEMU's board with one socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Imsic {
    at: u64,
    /// From a hart's file to the next one's: where harts have files for guests, those lie between.
    stride: u64,
    /// The highest identity.
    pub(crate) highest: u32,
}

impl Imsic {
    /// What `node` tells of, if these are supervisors' files.
    pub(super) fn read(node: EarlyNode<'_>) -> Option<Self> {
        let cell = |bytes: &[u8]| bytes.iter().fold(0_u32, |number, &byte| number << 8 | u32::from(byte));
        let wire = node.property("interrupts-extended")?.get(4..8).map(cell);
        if wire != Some(SUPERVISOR_EXTERNAL) {
            return None;
        }
        Some(Self {
            at: node.reg().next()?.start,
            stride: FILE_SIZE << node.property("riscv,guest-index-bits").map_or(0, cell),
            highest: cell(node.property("riscv,num-ids")?),
        })
    }

    /// This hart's file: everything is let through and nothing is pending.
    pub(crate) fn start(self) {
        write(select::EITHRESHOLD, 0);
        for word in 0..=self.highest / 64 {
            write(select::EIE0 + 2 * word, u64::MAX);
            write(select::EIP0 + 2 * word, 0);
        }
        write(select::EIDELIVERY, DELIVER);
    }

    /// The page of a hart's file.
    pub(crate) fn page(self, hart: u64) -> u64 {
        self.at + hart * self.stride
    }

    /// Sends a hart a message.
    #[inline(always)]
    pub(crate) fn send(self, hart: u64, identity: u32) {
        store32(self.page(hart) + SETEIPNUM_LE, identity);
    }
}

/// Takes the most urgent identity; 0 if there is none.
#[inline(always)]
pub(crate) fn claim() -> u32 {
    let top: u64;
    // SAFETY: a register of interrupts.
    unsafe { core::arch::asm!("csrrw {}, 0x15c, zero", out(reg) top, options(nostack)) };
    (top >> 16) as u32
}

/// What `claim` would take.
pub(crate) fn next() -> u32 {
    (get!("0x15c") >> 16) as u32
}

/// Writes a register of the hart's file. Interrupts do not come between, or do not use these registers.
pub(crate) fn write(register: u32, value: u64) {
    set!("0x150", register.into());
    set!("0x151", value);
}

/// Reads one.
pub(crate) fn read(register: u32) -> u64 {
    set!("0x150", register.into());
    get!("0x151")
}
