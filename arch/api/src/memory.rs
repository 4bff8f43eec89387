//! Memory: our own address space, registers of devices, caches, and memory that others write too.

use addr::{Hpa, Span};

/// What a mapping of our own is for. No kind is both writable and executable.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Instructions: read and execute.
    Code,
    /// Constants: read.
    Constant,
    /// Data: read and write.
    Data,
    /// Registers of a device: read and write, never cached, reordered or merged.
    Registers,
    /// Memory that a device shares: read and write, not cached.
    Dma,
}

/// Why a mapping could not be made or unmade.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MapError {
    /// Something is mapped there already.
    AlreadyMapped,
    /// An address or a length is not a multiple of the page size.
    Misaligned,
    /// The address is beyond what the hardware can map.
    OutOfRange,
    /// There is no memory for page tables.
    NoMemory,
}

impl core::fmt::Display for MapError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::AlreadyMapped => "something is mapped there already",
            Self::Misaligned => "not a multiple of the page size",
            Self::OutOfRange => "beyond the addresses that this hardware can map",
            Self::NoMemory => "no memory for page tables",
        })
    }
}

/// Our own address space. All memory that the frame allocator owns is mapped as data once
/// [`HostPaging::start`] returned.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait HostPaging {
    /// Where a frame of ours is seen by us: at its own address, unless memory is mapped elsewhere.
    fn address_of(frame: Hpa) -> *mut u8 {
        frame.get() as *mut u8
    }
    /// The other way round.
    fn frame_of(address: *const u8) -> Hpa {
        Hpa::new(address as u64)
    }
    /// Maps all of `memory` as data, the image as what its parts are, and switches to these tables.
    /// `tables` must give memory inside `memory`, below what the start-up code mapped already.
    ///
    /// # Safety
    /// Called once, by the boot CPU, before anything else runs. `memory` is RAM.
    unsafe fn start(memory: &[Span<Hpa>], tables: &'static dyn super::TableFrames) -> Result<(), MapError>;
    /// Maps registers or shared memory that are not part of the memory given to `start`; says where.
    ///
    /// # Safety
    /// The caller owns `span`, and nobody uses another kind of mapping of it.
    unsafe fn map(span: Span<Hpa>, kind: Kind) -> Result<*mut u8, MapError>;
    /// Unmaps what `map` mapped.
    ///
    /// # Safety
    /// Nobody uses the mapping any more.
    unsafe fn unmap(at: *mut u8, length: u64) -> Result<(), MapError>;
    /// Maps `frames` (each one page) one after the other as data, with an unmapped page below, at
    /// addresses used for nothing else; says where the first page is seen. For stacks.
    ///
    /// # Safety
    /// The caller owns the frames and does not use them through [`HostPaging::address_of`] meanwhile.
    unsafe fn map_guarded(frames: &[Hpa]) -> Result<*mut u8, MapError>;
    /// Undoes `map_guarded`.
    ///
    /// # Safety
    /// Nobody uses the mapping any more.
    unsafe fn unmap_guarded(at: *mut u8, pages: usize);
}

/// Cache maintenance over ranges that we see.
pub trait Cache {
    /// What we wrote can be seen by a device or by a guest with its caches off.
    fn make_visible_to_device(start: *const u8, length: usize);
    /// What a device wrote can be seen by us.
    fn make_visible_to_cpu(start: *const u8, length: usize);
    /// What we wrote can be executed.
    fn make_code(start: *const u8, length: usize);
}

/// Single, plain loads and stores of registers, in program order against each other.
///
/// # Safety
/// For all members: `at` lies in a living mapping of [`Kind::Registers`], aligned to the access.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait Mmio {
    /// Loads 8 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn read8(at: *const u8) -> u8;
    /// Loads 32 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn read32(at: *const u8) -> u32;
    /// Loads 64 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn read64(at: *const u8) -> u64;
    /// Stores 8 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn write8(at: *mut u8, value: u8);
    /// Stores 32 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn write32(at: *mut u8, value: u32);
    /// Stores 64 bits.
    ///
    /// # Safety
    /// As the trait says.
    unsafe fn write64(at: *mut u8, value: u64);
}

/// A byte that could not be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault;

/// Memory that others write while we look at it: a guest's, a device's. No Rust reference to it ever
/// exists; it is reached by these copies alone, written in assembly, so that a race is a torn value
/// and not undefined behaviour.
#[expect(unsafe_code, reason = "the contract says who guarantees what")]
pub trait Untyped {
    /// Copies `to.len()` bytes out of untyped memory.
    ///
    /// # Safety
    /// The range at `from` is mapped untyped memory.
    unsafe fn copy_out(from: *const u8, to: &mut [u8]);
    /// Copies `from.len()` bytes into untyped memory.
    ///
    /// # Safety
    /// The range at `to` is mapped untyped memory.
    unsafe fn copy_in(to: *mut u8, from: &[u8]);
    /// Zeroes `length` bytes of untyped memory; both are multiples of the page size.
    ///
    /// # Safety
    /// The range is mapped untyped memory.
    unsafe fn zero(to: *mut u8, length: usize);
    /// Loads a naturally aligned value of 1, 2, 4 or 8 bytes, whole, with acquire ordering.
    ///
    /// # Safety
    /// The range at `from` is mapped untyped memory, aligned to `width`.
    unsafe fn load(from: *const u8, width: super::Width) -> u64;
    /// Stores one, whole, with release ordering.
    ///
    /// # Safety
    /// As for `load`.
    unsafe fn store(to: *mut u8, width: super::Width, value: u64);
}

/// What a guest may do with a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rights {
    /// Ordinary memory: read, write, execute, cached.
    Memory,
    /// Read and execute; a write is an exit.
    Constant,
    /// A device's registers, given to the guest: read and write, not cached, not executable.
    Registers,
}
