//! The services of the firmware that are used, with Rust's types.

use core::ffi::c_void;
use core::fmt;
use core::ops::Range;
use core::ptr::null_mut;
use core::slice;

use r_efi::efi::{self, Guid, Handle, Status, SystemTable};
use r_efi::protocols::{device_path, load_file2, loaded_image};

use crate::Wrong;

/// `EFI_DTB_TABLE_GUID`: the device tree among the configuration tables.
const DEVICE_TREE: Guid =
    Guid::from_fields(0xb1b6_21d5, 0xf19c, 0x41a5, 0x83, 0x0b, &[0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0]);

/// `LINUX_EFI_INITRD_MEDIA_GUID`: where boot loaders offer the initial RAM disk.
const INITRD: Guid =
    Guid::from_fields(0x5568_e427, 0x68fc, 0x4f3d, 0xac, 0x74, &[0xca, 0x55, 0x52, 0x31, 0xcc, 0x68]);

/// `RISCV_EFI_BOOT_PROTOCOL` (RISC-V UEFI Protocol Specification, 2.1).
const RISCV_BOOT: Guid =
    Guid::from_fields(0xccd1_5fec, 0x6f73, 0x4eec, 0x83, 0x95, &[0x3e, 0x69, 0xe4, 0xb9, 0x40, 0xbf]);

/// What it is.
#[repr(C)]
struct RiscvBoot {
    revision: u64,
    get_boot_hart_id: extern "efiapi" fn(*mut RiscvBoot, *mut usize) -> Status,
}

/// The boot protocol's largest device tree (Linux, booting.rst).
const LARGEST_TREE: usize = 2 << 20;

/// Descriptors by which the memory map may grow while it is dealt with.
const MORE_DESCRIPTORS: usize = 32;

/// The firmware as it called us.
pub(crate) struct Firmware {
    handle: Handle,
    table: *mut SystemTable,
}

/// What the firmware says of the memory map that it wrote.
pub(crate) struct Map {
    /// Bytes that are used.
    pub(crate) size: usize,
    /// Bytes of each descriptor.
    pub(crate) stride: usize,
    /// What shows that the map is still the newest.
    pub(crate) key: usize,
}

/// A device path of one vendor-defined media node and the end (UEFI 10.3.5.3).
#[repr(C)]
struct InitrdPath {
    media: device_path::Protocol,
    vendor: Guid,
    end: device_path::Protocol,
}

fn told(what: &'static str, status: Status) -> Result<(), Wrong> {
    if status.is_error() { Err(Wrong::Service(what, status)) } else { Ok(()) }
}

impl Firmware {
    /// # Safety
    /// They are what the firmware called the image with, and its boot services are there as long as this is used
    /// (after `leave` succeeded it is not).
    pub(crate) const unsafe fn new(handle: Handle, table: *mut SystemTable) -> Self {
        Self { handle, table }
    }

    fn services(&self) -> &efi::BootServices {
        // SAFETY: `new`: the table is the firmware's, which has boot services.
        unsafe { &*(*self.table).boot_services }
    }

    /// `bytes` of memory for good: zeroed, page aligned, of the kind that the firmware does not need later.
    pub(crate) fn allocate(&self, bytes: usize) -> Result<&'static mut [u8], Wrong> {
        let pages = bytes.div_ceil(4096).max(1);
        let mut at = 0;
        // SAFETY: as UEFI 7.2.1 wants it.
        let status = unsafe {
            (self.services().allocate_pages)(efi::ALLOCATE_ANY_PAGES, efi::LOADER_DATA, pages, &raw mut at)
        };
        told("no memory from the firmware", status)?;
        let at = at as *mut u8;
        // SAFETY: these pages are ours from now on, and nobody else's.
        unsafe {
            at.write_bytes(0, pages * 4096);
            Ok(slice::from_raw_parts_mut(at, pages * 4096))
        }
    }

    /// The device tree among the configuration tables.
    pub(crate) fn device_tree(&self) -> Result<&'static [u8], Wrong> {
        // SAFETY: `new`; UEFI 4.6: so many tables are there.
        let tables = unsafe {
            let table = &*self.table;
            match table.configuration_table.is_null() {
                true => &[],
                false => slice::from_raw_parts(table.configuration_table, table.number_of_table_entries),
            }
        };
        let found = tables.iter().find(|table| table.vendor_guid == DEVICE_TREE);
        let at = found.ok_or(Wrong::NoTree)?.vendor_table.cast::<u8>();
        // SAFETY: the table of this name is a device tree, which begins with a header.
        let header = unsafe { slice::from_raw_parts(at, fdt::HEADER_SIZE) };
        let length = fdt::total_size(header).map_err(|why| Wrong::Tree(why.into()))?;
        if length > LARGEST_TREE {
            return Err(Wrong::TreeTooLong(length));
        }
        // SAFETY: as above, with the size that its header tells; nobody writes it.
        Ok(unsafe { slice::from_raw_parts(at, length) })
    }

    /// The id of the hart that runs, if the firmware has the protocol of RISC-V that tells it.
    pub(crate) fn boot_hart(&self) -> Option<u64> {
        let mut guid = RISCV_BOOT;
        let mut found: *mut c_void = null_mut();
        // SAFETY: as UEFI 7.3.16 wants it; the interface is of the type that the GUID names.
        unsafe {
            let status = (self.services().locate_protocol)(&raw mut guid, null_mut(), &raw mut found);
            let protocol = found.cast::<RiscvBoot>();
            if status.is_error() || protocol.is_null() {
                return None;
            }
            let mut hart = 0;
            let status = ((*protocol).get_boot_hart_id)(protocol, &raw mut hart);
            (!status.is_error()).then_some(hart as u64)
        }
    }

    /// The bytes of the command line.
    pub(crate) fn load_options(&self) -> Result<&'static [u8], Wrong> {
        let mut guid = loaded_image::PROTOCOL_GUID;
        let mut image: *mut loaded_image::Protocol = null_mut();
        // SAFETY: as UEFI 7.3.7 wants it; the interface is of the type that the GUID names.
        unsafe {
            let to = (&raw mut image).cast::<*mut c_void>();
            told(
                "our own image is not known",
                (self.services().handle_protocol)(self.handle, &raw mut guid, to),
            )?;
            let image = &*image;
            let length = image.load_options_size as usize;
            match image.load_options.is_null() {
                true => Ok(&[]),
                false => Ok(slice::from_raw_parts(image.load_options.cast::<u8>(), length)),
            }
        }
    }

    /// Loads the initial RAM disk, if somebody offers one, and returns where it lies.
    pub(crate) fn initrd(&self) -> Result<Option<Range<u64>>, Wrong> {
        let mut path = InitrdPath {
            media: device_path::Protocol {
                r#type: device_path::TYPE_MEDIA,
                sub_type: device_path::Media::SUBTYPE_VENDOR,
                length: 20_u16.to_le_bytes(),
            },
            vendor: INITRD,
            end: device_path::Protocol {
                r#type: device_path::TYPE_END,
                sub_type: device_path::End::SUBTYPE_ENTIRE,
                length: 4_u16.to_le_bytes(),
            },
        };
        let mut guid = load_file2::PROTOCOL_GUID;
        let whole = &raw mut path;
        let mut rest: *mut device_path::Protocol = whole.cast();
        let mut handle: Handle = null_mut();
        let mut file: *mut load_file2::Protocol = null_mut();
        let what = "the initial RAM disk cannot be loaded";
        // SAFETY: as UEFI 7.3.10, 7.3.7 and 13.1.2 want it: a path that ends, an interface of the type that the GUID
        // names; the first call only asks for the size.
        unsafe {
            let services = self.services();
            if (services.locate_device_path)(&raw mut guid, &raw mut rest, &raw mut handle).is_error() {
                return Ok(None);
            }
            let to = (&raw mut file).cast::<*mut c_void>();
            told(what, (services.handle_protocol)(handle, &raw mut guid, to))?;
            let load = (*file).load_file;
            let mut size = 0;
            let end = &raw mut (*whole).end;
            let asked = load(file, end, false.into(), &raw mut size, null_mut());
            if asked != Status::BUFFER_TOO_SMALL {
                return told(what, asked).map(|()| None);
            }
            let place = self.allocate(size)?;
            let to = place.as_mut_ptr();
            told(what, load(file, end, false.into(), &raw mut size, to.cast()))?;
            let start = to as u64;
            Ok((size > 0).then_some(start..start + size as u64))
        }
    }

    /// Bytes that the memory map will need.
    pub(crate) fn map_size(&self) -> Result<usize, Wrong> {
        match self.ask_map(&mut []) {
            (Status::BUFFER_TOO_SMALL, map) => {
                Ok(map.size.saturating_add(map.stride.saturating_mul(MORE_DESCRIPTORS)))
            }
            (status, _) => Err(Wrong::Service("no memory map", status)),
        }
    }

    /// Writes the memory map.
    pub(crate) fn memory_map(&self, to: &mut [u8]) -> Result<Map, Wrong> {
        let (status, map) = self.ask_map(to);
        told("no memory map", status).map(|()| map)
    }

    fn ask_map(&self, to: &mut [u8]) -> (Status, Map) {
        let mut map = Map { size: to.len(), stride: 0, key: 0 };
        let mut version = 0;
        // SAFETY: as UEFI 7.2.3 wants it: the buffer has the size that is told.
        let status = unsafe {
            (self.services().get_memory_map)(
                &raw mut map.size,
                to.as_mut_ptr().cast(),
                &raw mut map.key,
                &raw mut map.stride,
                &raw mut version,
            )
        };
        (status, map)
    }

    /// Ends boot services, if `key` is the newest map's.
    pub(crate) fn leave(&self, key: usize) -> Result<(), Wrong> {
        // SAFETY: as UEFI 7.4.6 wants it.
        let status = unsafe { (self.services().exit_boot_services)(self.handle, key) };
        told("leaving boot services", status)
    }
}

/// The firmware's console.
impl fmt::Write for &Firmware {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: `new`.
        let console = unsafe { (*self.table).con_out };
        if console.is_null() {
            return Ok(());
        }
        let line_ends = text.chars().flat_map(|letter| {
            let before = if letter == '\n' { Some('\r') } else { None };
            before.into_iter().chain([letter])
        });
        for letter in line_ends {
            let mut units = [0; 3];
            let _ = letter.encode_utf16(&mut units);
            // SAFETY: as UEFI 12.4.3 wants it: a text that ends with NUL.
            let _ = unsafe { ((*console).output_string)(console, units.as_mut_ptr()) };
        }
        Ok(())
    }
}
