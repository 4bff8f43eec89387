//! A firmware made of functions here, whose services are called as the real ones are.

use core::cell::RefCell;
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use std::boxed::Box;
use std::string::String;
use std::thread_local;
use std::vec;
use std::vec::Vec;

use fdt::{Early, Tree};
use r_efi::efi::{
    BootServices, ConfigurationTable, Guid, Handle, MemoryDescriptor, PhysicalAddress, Status, SystemTable,
};
use r_efi::protocols::{device_path, load_file2, loaded_image, simple_text_output};

use crate::{Failed, boot_hart, start};

/// What the fake firmware has, and what was asked of it.
#[derive(Default)]
struct State {
    printed: String,
    options: Vec<u8>,
    initrd: Option<Vec<u8>>,
    /// How often the map's key is out of date.
    stale: usize,
    /// Memory for so many more allocations.
    allocations: usize,
    left: bool,
    /// What the protocol of RISC-V says, if there is one.
    hart: Option<usize>,
    image: Option<Box<loaded_image::Protocol>>,
    file: Option<Box<load_file2::Protocol>>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn with<R>(work: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(work)
}

const HANDLE: Handle = 0x10 as Handle;
const INITRD_HANDLE: Handle = 0x20 as Handle;

unsafe extern "efiapi" fn unexpected() -> Status {
    panic!("a service that is not used");
}

unsafe extern "efiapi" fn allocate_pages(_: u32, _: u32, pages: usize, at: *mut PhysicalAddress) -> Status {
    let enough = with(|state| {
        assert!(!state.left);
        state.allocations = state.allocations.saturating_sub(1);
        state.allocations > 0
    });
    if !enough {
        return Status::OUT_OF_RESOURCES;
    }
    #[repr(C, align(4096))]
    struct Page([u8; 4096]);
    let pages: Vec<Page> = (0..pages).map(|_| Page([0xa5; 4096])).collect();
    // SAFETY: the caller's variable.
    unsafe { *at = pages.leak().as_ptr() as u64 };
    Status::SUCCESS
}

unsafe extern "efiapi" fn get_memory_map(
    size: *mut usize,
    map: *mut MemoryDescriptor,
    key: *mut usize,
    stride: *mut usize,
    _: *mut u32,
) -> Status {
    const WB: u64 = 8;
    let entries: [(u32, u64, u64, u64); 4] = [
        (7, 0x4000_0000, 0x1_0000, WB),
        (5, 0x5000_0000, 0x100, WB),
        (4, 0x5010_0000, 0x1_0000, WB),
        (11, 0x0900_0000, 1, 1),
    ];
    // SAFETY: the caller's variables, and a buffer of the size that it tells.
    unsafe {
        let room = *size;
        *size = entries.len() * 48;
        *stride = 48;
        *key = 77 + with(|state| state.stale);
        if room < *size {
            return Status::BUFFER_TOO_SMALL;
        }
        for (index, (kind, start, pages, attribute)) in entries.into_iter().enumerate() {
            let entry = map.cast::<u8>().add(index * 48).cast::<u64>();
            for (field, word) in [u64::from(kind), start, 0, pages, attribute].into_iter().enumerate() {
                entry.add(field).write(word);
            }
        }
    }
    Status::SUCCESS
}

unsafe extern "efiapi" fn exit_boot_services(handle: Handle, key: usize) -> Status {
    assert_eq!(handle, HANDLE);
    with(|state| {
        assert_eq!(key, 77 + state.stale);
        if state.stale > 0 {
            state.stale -= 1;
            return Status::INVALID_PARAMETER;
        }
        state.left = true;
        Status::SUCCESS
    })
}

unsafe extern "efiapi" fn handle_protocol(handle: Handle, guid: *mut Guid, to: *mut *mut c_void) -> Status {
    // SAFETY: the caller's variables.
    unsafe {
        let guid = *guid;
        with(|state| {
            let found = if handle == HANDLE && guid == loaded_image::PROTOCOL_GUID {
                state.image.as_deref_mut().map(|image| (&raw mut *image).cast())
            } else if handle == INITRD_HANDLE && guid == load_file2::PROTOCOL_GUID {
                state.file.as_deref_mut().map(|file| (&raw mut *file).cast())
            } else {
                None
            };
            let Some(found) = found else { return Status::UNSUPPORTED };
            *to = found;
            Status::SUCCESS
        })
    }
}

unsafe extern "efiapi" fn locate_device_path(
    guid: *mut Guid,
    path: *mut *mut device_path::Protocol,
    handle: *mut Handle,
) -> Status {
    // SAFETY: the caller's variables; a media node of 20 bytes and the end.
    unsafe {
        assert!(*guid == load_file2::PROTOCOL_GUID);
        let bytes = core::slice::from_raw_parts((*path).cast::<u8>(), 24);
        assert_eq!((&bytes[..4], &bytes[20..]), (&[4, 3, 20, 0][..], &[0x7f, 0xff, 4, 0][..]));
        assert_eq!(bytes[4..8], 0x5568_e427_u32.to_le_bytes());
        if with(|state| state.initrd.is_none()) {
            return Status::NOT_FOUND;
        }
        *path = (*path).cast::<u8>().add(20).cast();
        *handle = INITRD_HANDLE;
    }
    Status::SUCCESS
}

unsafe extern "efiapi" fn load_file(
    _: *mut load_file2::Protocol,
    _: *mut device_path::Protocol,
    _: r_efi::efi::Boolean,
    size: *mut usize,
    to: *mut c_void,
) -> Status {
    with(|state| {
        let bytes = state.initrd.as_deref().unwrap_or_default();
        // SAFETY: the caller's variable, and a buffer of the size that it tells.
        unsafe {
            let room = *size;
            *size = bytes.len();
            if room < bytes.len() || to.is_null() {
                return Status::BUFFER_TOO_SMALL;
            }
            to.cast::<u8>().copy_from(bytes.as_ptr(), bytes.len());
        }
        Status::SUCCESS
    })
}

unsafe extern "efiapi" fn output_string(_: *mut simple_text_output::Protocol, text: *mut u16) -> Status {
    // SAFETY: a text that ends with NUL.
    let units: Vec<u16> =
        unsafe { (0..).map(|index| text.add(index).read()).take_while(|&unit| unit != 0).collect() };
    with(|state| state.printed.push_str(&String::from_utf16(&units).unwrap()));
    Status::SUCCESS
}

unsafe extern "efiapi" fn locate_protocol(guid: *mut Guid, _: *mut c_void, to: *mut *mut c_void) -> Status {
    #[repr(C)]
    struct Boot(u64, extern "efiapi" fn(*mut Boot, *mut usize) -> Status);
    extern "efiapi" fn get_boot_hart_id(_: *mut Boot, hart: *mut usize) -> Status {
        let id = with(|state| state.hart);
        // SAFETY: the caller's variable.
        unsafe { *hart = id.unwrap_or(0) };
        Status::SUCCESS
    }
    if with(|state| state.hart.is_none()) {
        return Status::NOT_FOUND;
    }
    // SAFETY: the caller's variables.
    unsafe {
        assert_eq!((*guid).as_bytes()[..4], 0xccd1_5fec_u32.to_le_bytes());
        *to = Box::leak(Box::new(Boot(0x1_0000, get_boot_hart_id))) as *mut Boot as *mut c_void;
    }
    Status::SUCCESS
}

/// Calls [`start`] with the fake firmware, which has these configuration tables.
fn boot(tables: &mut [ConfigurationTable], processor: Result<(), &'static str>) -> Result<Tree, Failed> {
    // SAFETY: a firmware whose services do what is used of them.
    let at = with_firmware(tables, |table| unsafe { start(HANDLE, table, processor) })?;
    assert!(with(|state| state.left) && at % 8 == 0);
    // SAFETY: the tree that was just made.
    unsafe {
        let header = core::slice::from_raw_parts(at as *const u8, fdt::HEADER_SIZE);
        let length = fdt::total_size(header).unwrap();
        Ok(Tree::from_blob(core::slice::from_raw_parts(at as *const u8, length)).unwrap())
    }
}

/// Calls `work` with the table of the fake firmware.
fn with_firmware<R>(tables: &mut [ConfigurationTable], work: impl FnOnce(*mut SystemTable) -> R) -> R {
    fn filled<T>() -> MaybeUninit<T> {
        let mut table = MaybeUninit::<T>::uninit();
        let words = size_of::<T>() / size_of::<usize>();
        for word in 0..words {
            // SAFETY: inside of the table; every field is a function, or a number that nobody looks at.
            unsafe { table.as_mut_ptr().cast::<usize>().add(word).write(unexpected as *const () as usize) };
        }
        table
    }
    // SAFETY: each function's address was written; the tables are of numbers and pointers.
    let (mut services, mut console, mut image) = unsafe {
        let image = MaybeUninit::<loaded_image::Protocol>::zeroed().assume_init();
        let console = filled::<simple_text_output::Protocol>().assume_init();
        (filled::<BootServices>().assume_init(), console, Box::new(image))
    };
    services.allocate_pages = allocate_pages;
    services.get_memory_map = get_memory_map;
    services.exit_boot_services = exit_boot_services;
    services.handle_protocol = handle_protocol;
    services.locate_device_path = locate_device_path;
    services.locate_protocol = locate_protocol;
    console.output_string = output_string;
    with(|state| {
        image.load_options_size = state.options.len() as u32;
        image.load_options = state.options.as_mut_ptr().cast();
        state.image = Some(image);
        state.file = Some(Box::new(load_file2::Protocol { load_file }));
        if state.allocations == 0 {
            state.allocations = 100;
        }
    });
    // SAFETY: numbers and pointers.
    let mut table = unsafe { MaybeUninit::<SystemTable>::zeroed().assume_init() };
    table.con_out = &raw mut console;
    table.boot_services = &raw mut services;
    table.number_of_table_entries = tables.len();
    table.configuration_table = if tables.is_empty() { null_mut() } else { tables.as_mut_ptr() };
    work(&raw mut table)
}

fn device_tree(blob: &mut [u8]) -> [ConfigurationTable; 2] {
    let other = Guid::from_fields(1, 2, 3, 4, 5, &[6; 6]);
    let ours =
        Guid::from_fields(0xb1b6_21d5, 0xf19c, 0x41a5, 0x83, 0x0b, &[0xd9, 0x15, 0x2c, 0x69, 0xaa, 0xe0]);
    let entry = |vendor_guid, vendor_table| ConfigurationTable { vendor_guid, vendor_table };
    [entry(other, null_mut()), entry(ours, blob.as_mut_ptr().cast())]
}

/// The tree that a firmware has: memory without what it keeps, and a command line of its own.
fn blob() -> Vec<u8> {
    let mut tree = Tree::new();
    let root = tree.root().id();
    tree.set(root, "#address-cells", 2_u32).unwrap();
    tree.set(root, "#size-cells", 2_u32).unwrap();
    let memory = tree.add_path("/memory@40000000").unwrap();
    tree.set(memory, "device_type", "memory").unwrap();
    tree.set(memory, "reg", [0x4000_0000_u64, 0x8000_0000].as_slice()).unwrap();
    let chosen = tree.add_path("/chosen").unwrap();
    tree.set(chosen, "bootargs", "of the tree").unwrap();
    tree.to_blob()
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn all_that_the_firmware_has_ends_in_the_tree() {
    with(|state| {
        state.options = ucs2("vmm.bootcmd=\"help;version\" ");
        state.initrd = Some(vec![7; 5000]);
        state.stale = 2;
    });
    let tree = boot(&mut device_tree(&mut blob()), Ok(())).unwrap();
    assert_eq!(tree.bootargs().unwrap(), Some("vmm.bootcmd=\"help;version\""));
    let early = tree.to_blob();
    let early = Early::new(&early).unwrap();
    let pieces =
        |regions: Vec<fdt::Region>| regions.iter().map(|r| (r.start, r.size)).collect::<Vec<(u64, u64)>>();
    assert_eq!(pieces(early.memory().collect()), [(0x4000_0000, 0x2010_0000)]);
    assert_eq!(pieces(early.reserved().collect()), [(0x5000_0000, 0x10_0000)]);
    let initrd = tree.initrd().unwrap().unwrap();
    assert_eq!(initrd.end - initrd.start, 5000);
    // SAFETY: the pages that the stub allocated for it.
    let bytes = unsafe { core::slice::from_raw_parts(initrd.start as *const u8, 5000) };
    assert!(bytes.iter().all(|&byte| byte == 7));
}

#[test]
fn what_the_firmware_does_not_say_stays_as_the_tree_has_it() {
    let tree = boot(&mut device_tree(&mut blob()), Ok(())).unwrap();
    assert_eq!(tree.bootargs().unwrap(), Some("of the tree"));
    assert_eq!(tree.initrd().unwrap(), None);
}

/// Boots in vain; returns the status and what was printed.
fn refused(tables: &mut [ConfigurationTable], processor: Result<(), &'static str>) -> (Status, String) {
    let Err(Failed::Return(status)) = boot(tables, processor) else { panic!("it was started") };
    assert!(!with(|state| state.left));
    (status, with(|state| core::mem::take(&mut state.printed)))
}

#[test]
fn what_is_missing_is_told_and_the_firmware_has_the_machine_back() {
    let (status, printed) = refused(&mut device_tree(&mut blob())[..1], Ok(()));
    assert!(status == Status::NOT_FOUND && printed.contains("no device tree"), "{printed}");
    assert!(printed.starts_with("Xvisor cannot start: ") && printed.ends_with("\r\n"), "{printed:?}");

    assert!(refused(&mut [], Ok(())).0 == Status::NOT_FOUND);

    let (status, printed) = refused(&mut device_tree(&mut blob()), Err("it is not at EL2"));
    assert!(status == Status::UNSUPPORTED && printed.contains("not at EL2"), "{printed}");

    let mut broken = blob();
    broken[0] = 0;
    let (_, printed) = refused(&mut device_tree(&mut broken), Ok(()));
    assert!(printed.contains("wrong magic number"), "{printed}");

    let mut cut = blob();
    let structure = u32::from_be_bytes(cut[8..12].try_into().unwrap()) as usize;
    cut[structure] = 0xff;
    let (_, printed) = refused(&mut device_tree(&mut cut), Ok(()));
    assert!(printed.contains("no valid token"), "{printed}");
}

#[test]
fn memory_that_the_firmware_does_not_have_is_told_whenever_it_is_missed() {
    for allocations in 1..=4 {
        with(|state| {
            *state = State { allocations, initrd: Some(vec![1; 10]), ..State::default() };
        });
        let (status, printed) = refused(&mut device_tree(&mut blob()), Ok(()));
        assert!(status == Status::OUT_OF_RESOURCES && printed.contains("no memory"), "{printed}");
    }
}

#[test]
fn a_map_that_is_never_the_newest_ends_in_nobody_s_hands() {
    with(|state| state.stale = 100);
    assert_eq!(boot(&mut device_tree(&mut blob()), Ok(())).unwrap_err(), Failed::Lost);
}

#[test]
fn the_hart_that_runs_is_the_protocol_s_or_else_the_tree_s() {
    // SAFETY: a firmware whose services do what is used of them.
    let hart =
        |blob: &mut [u8]| with_firmware(&mut device_tree(blob), |table| unsafe { boot_hart(HANDLE, table) });
    assert_eq!(hart(&mut blob()), None);
    let mut tree = Tree::from_blob(&blob()).unwrap();
    let chosen = tree.add_path("/chosen").unwrap();
    tree.set(chosen, "boot-hartid", 3_u32).unwrap();
    assert_eq!(hart(&mut tree.to_blob()), Some(3));
    tree.set(chosen, "boot-hartid", [5_u64].as_slice()).unwrap();
    assert_eq!(hart(&mut tree.to_blob()), Some(5));
    tree.set(chosen, "boot-hartid", "none").unwrap();
    assert_eq!(hart(&mut tree.to_blob()), None);
    with(|state| state.hart = Some(0));
    assert_eq!(hart(&mut tree.to_blob()), Some(0));
}
