//! The way from EFI firmware to the hypervisor, for every architecture whose image can be an EFI application.
//!
//! Firmware, or a boot loader such as GRUB, starts the image with the MMU on and everything still its own
//! (UEFI Specification 2.10, 2.3 Calling Conventions). [`start`] gathers what is scattered there into one
//! device tree, leaves boot services, and the rest of start-up is the same as by the Linux boot protocol:
//!
//! | what | where it is found |
//! |---|---|
//! | the device tree | the configuration table `EFI_DTB_TABLE_GUID` (Devicetree in EBBR) |
//! | the command line | `LoadOptions` of our Loaded Image protocol; if empty, what the tree has |
//! | the initial RAM disk | Load File 2 on Linux's initrd media device path; if there is none, what the tree has |
//! | memory | the memory map: what the firmware keeps is reserved in the tree |
//!
//! The architecture's part is the entry point: see that the processor is as it has to be, relocate the image, call
//! [`start`], and switch the MMU off.
#![no_std]
#![expect(unsafe_code, reason = "the firmware's services are functions of C, its tables are raw memory")]

#[cfg(test)]
extern crate std;

mod firmware;
#[cfg(test)]
mod tests;

use core::fmt;
use core::ops::Range;

use fdt::{Patch, PatchError, Region};
use isa_firmware::efi::{self, Memory};
use r_efi::efi::{Handle, Status};

pub use r_efi::efi::SystemTable;

use firmware::Firmware;

/// Bytes that the new tree may be longer than the old one and the command line: a node for each bank, an entry for
/// each range that the firmware keeps, the names of properties.
const MORE_TREE: usize = 8192;

/// How often leaving boot services is tried: the map may have changed the first time.
const ATTEMPTS: usize = 4;

/// Why the hypervisor was not started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failed {
    /// To be returned to the firmware, which was told in words.
    Return(Status),
    /// Boot services are half gone: there is nobody to return to.
    Lost,
}

/// What keeps the hypervisor from starting.
enum Wrong {
    /// The processor.
    Unfit(&'static str),
    NoTree,
    TreeTooLong(usize),
    Tree(PatchError),
    Service(&'static str, Status),
    Memory(efi::TooMany),
    CommandLine,
}

impl Wrong {
    const fn status(&self) -> Status {
        match self {
            Self::Unfit(_) => Status::UNSUPPORTED,
            Self::NoTree => Status::NOT_FOUND,
            Self::Service(_, status) => *status,
            Self::TreeTooLong(_) | Self::Tree(_) | Self::Memory(_) | Self::CommandLine => Status::LOAD_ERROR,
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unfit(why) => f.write_str(why),
            Self::NoTree => f.write_str(
                "the firmware gives no device tree (perhaps it can be told to, instead of ACPI: QEMU's \
                 -machine acpi=off)",
            ),
            Self::TreeTooLong(length) => write!(f, "the firmware's device tree has {length} bytes"),
            Self::Tree(why) => write!(f, "the firmware's device tree: {why}"),
            Self::Service(what, status) => {
                write!(f, "{what}: status {:#x}", status.as_usize() & (usize::MAX >> 1))
            }
            Self::Memory(why) => write!(f, "{why}"),
            Self::CommandLine => f.write_str("the command line is no text"),
        }
    }
}

/// Takes the machine over from the firmware. Returns the address of the device tree that start-up goes on with; it
/// lies in memory that is ours, 8-byte aligned, and the firmware's services are gone. `processor` says whether the
/// processor can run a hypervisor, in words if not.
///
/// # Errors
/// [`Failed::Return`], if the firmware is to have the machine back.
///
/// # Safety
/// `handle` and `table` are what the firmware called the image's entry point with. It runs on the firmware's stack
/// and map, and nobody has left boot services.
pub unsafe fn start(
    handle: Handle,
    table: *mut SystemTable,
    processor: Result<(), &'static str>,
) -> Result<u64, Failed> {
    // SAFETY: the caller's promise.
    let firmware = unsafe { Firmware::new(handle, table) };
    let prepared = processor.map_err(Wrong::Unfit).and_then(|()| Prepared::gather(&firmware));
    let (wrong, left) = match prepared {
        Ok(prepared) => match prepared.leave(&firmware) {
            Ok(tree) => return Ok(tree),
            Err(failed) => failed,
        },
        Err(wrong) => (wrong, false),
    };
    if left {
        return Err(Failed::Lost);
    }
    let _ = fmt::write(&mut &firmware, format_args!("Xvisor cannot start: {wrong}\n"));
    Err(Failed::Return(wrong.status()))
}

/// The id of the hart that runs, where the firmware says it: by RISCV_EFI_BOOT_PROTOCOL, or else as `boot-hartid` in the
/// tree's `/chosen` (RISC-V UEFI Protocol Specification, 2.1).
///
/// # Safety
/// As [`start`].
pub unsafe fn boot_hart(handle: Handle, table: *mut SystemTable) -> Option<u64> {
    // SAFETY: the caller's promise.
    let firmware = unsafe { Firmware::new(handle, table) };
    firmware.boot_hart().or_else(|| {
        let tree = fdt::Early::new(firmware.device_tree().ok()?).ok()?;
        boot_hart_of(tree.find("/chosen")?.property("boot-hartid")?)
    })
}

/// A number of one or two cells.
fn boot_hart_of(bytes: &[u8]) -> Option<u64> {
    match bytes.len() {
        4 => Some(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        8 => Some(u64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

/// All that was gathered while boot services were there.
struct Prepared {
    tree: &'static [u8],
    bootargs: Option<&'static str>,
    initrd: Option<Range<u64>>,
    /// Where the new tree goes.
    place: &'static mut [u8],
    /// Where the memory map goes.
    map: &'static mut [u8],
}

impl Prepared {
    fn gather(firmware: &Firmware) -> Result<Self, Wrong> {
        let tree = firmware.device_tree()?;
        let options = firmware.load_options()?;
        // A unit of two bytes becomes three at most.
        let text = firmware.allocate(options.len() * 2 + 1)?;
        let bootargs = efi::command_line(options, text).ok_or(Wrong::CommandLine)?;
        let initrd = firmware.initrd()?;
        let place = firmware.allocate(tree.len() + bootargs.len() + MORE_TREE)?;
        let map = firmware.allocate(firmware.map_size()?)?;
        Ok(Self { tree, bootargs: Some(bootargs).filter(|text| !text.is_empty()), initrd, place, map })
    }

    /// Leaves boot services; returns the tree's address, or what was wrong and whether services are gone.
    fn leave(mut self, firmware: &Firmware) -> Result<u64, (Wrong, bool)> {
        let mut why = Wrong::Service("leaving boot services", Status::ABORTED);
        for attempt in 0..ATTEMPTS {
            let gone = |wrong| (wrong, attempt > 0);
            let map = firmware.memory_map(self.map).map_err(gone)?;
            let bytes = self.map.get(..map.size).unwrap_or_default();
            let memory = Memory::read(bytes, map.stride).map_err(|wrong| gone(Wrong::Memory(wrong)))?;
            self.write_tree(&memory).map_err(|wrong| gone(Wrong::Tree(wrong)))?;
            match firmware.leave(map.key) {
                Ok(()) => return Ok(self.place.as_ptr() as u64),
                Err(wrong) => why = wrong,
            }
        }
        Err((why, true))
    }

    fn write_tree(&mut self, memory: &Memory) -> Result<(), PatchError> {
        let mut banks = [Region { start: 0, size: 0 }; 24];
        let mut kept = [Region { start: 0, size: 0 }; 40];
        let patch = Patch {
            memory: regions(memory.banks.get(), &mut banks),
            reserved: regions(memory.kept.get(), &mut kept),
            bootargs: self.bootargs,
            initrd: self.initrd.clone(),
        };
        patch.copy(self.tree, self.place).map(drop)
    }
}

fn regions<'r>(pieces: &[(u64, u64)], regions: &'r mut [Region]) -> &'r [Region] {
    for (region, (start, end)) in regions.iter_mut().zip(pieces) {
        *region = Region { start: *start, size: end - start };
    }
    regions.get(..pieces.len()).unwrap_or_default()
}
