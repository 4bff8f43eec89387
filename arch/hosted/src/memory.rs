//! Memory: what the tests allocate is the machine's RAM, at the addresses where it lies.
#![expect(unsafe_code, reason = "the contract is about raw memory")]

use core::sync::atomic as raw;
use std::alloc::Layout;
use std::collections::BTreeMap;
use std::sync::Mutex;

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{Cache, HostPaging, Kind, MapError, Mmio, TableFrames, Untyped, Width};

use crate::{Hosted, cpu};

/// Alignment of what [`Hosted::memory`] gives: the largest block that guests' maps use below 1 GiB.
const BANK_ALIGNMENT: u64 = 2 << 20;

/// Mappings that live: where, and how many bytes.
static MAPPED: Mutex<BTreeMap<usize, u64>> = Mutex::new(BTreeMap::new());

impl Hosted {
    /// A bank of zeroed RAM of at least `bytes` bytes, whole pages, 2 MiB aligned. It is never freed.
    pub fn memory(bytes: u64) -> Span<Hpa> {
        let length = bytes.max(1).next_multiple_of(PAGE_SIZE);
        let at = allocate(length, BANK_ALIGNMENT);
        Span::<Hpa>::new(Hpa::new(at.expose_provenance() as u64), length).expect("memory wraps")
    }

    /// How many mappings made by [`HostPaging::map`] begin inside `span`.
    pub fn mappings_in(span: Span<Hpa>) -> usize {
        cpu::lock(&MAPPED).keys().filter(|at| span.contains(Hpa::new(**at as u64))).count()
    }
}

fn layout(length: u64, alignment: u64) -> Layout {
    let length = usize::try_from(length).expect("more than the address space");
    let alignment = usize::try_from(alignment).expect("more than the address space");
    Layout::from_size_align(length, alignment).expect("more than the address space")
}

/// Zeroed memory.
pub(crate) fn allocate(length: u64, alignment: u64) -> *mut u8 {
    let layout = layout(length, alignment);
    assert!(layout.size() != 0, "no bytes were asked for");
    // SAFETY: the size is not zero.
    let at = unsafe { std::alloc::alloc_zeroed(layout) };
    assert!(!at.is_null(), "the development machine has no {length} bytes left");
    at
}

fn as_pointer(address: Hpa) -> *mut u8 {
    core::ptr::with_exposed_provenance_mut(address.get() as usize)
}

impl HostPaging for Hosted {
    fn address_of(frame: Hpa) -> *mut u8 {
        as_pointer(frame)
    }
    fn frame_of(address: *const u8) -> Hpa {
        Hpa::new(address.expose_provenance() as u64)
    }
    unsafe fn start(_memory: &[Span<Hpa>], _tables: &'static dyn TableFrames) -> Result<(), MapError> {
        Ok(())
    }
    unsafe fn map(span: Span<Hpa>, _kind: Kind) -> Result<*mut u8, MapError> {
        if !span.base().is_aligned(PAGE_SIZE) || !span.length().is_multiple_of(PAGE_SIZE) {
            return Err(MapError::Misaligned);
        }
        // Registers that a test scripts are seen at an address of their own; all else lies where it is.
        let at = cpu::here().fakes.borrow().seen_at(span).unwrap_or_else(|| as_pointer(span.base()));
        let mut mapped = cpu::lock(&MAPPED);
        let end = at.addr() as u64 + span.length();
        if let Some((&base, &length)) = mapped.range(..end as usize).next_back()
            && base as u64 + length > at.addr() as u64
        {
            return Err(MapError::AlreadyMapped);
        }
        mapped.insert(at.addr(), span.length());
        Ok(at)
    }
    unsafe fn unmap(at: *mut u8, length: u64) -> Result<(), MapError> {
        let mut mapped = cpu::lock(&MAPPED);
        if mapped.get(&at.addr()) != Some(&length) {
            return Err(MapError::OutOfRange);
        }
        mapped.remove(&at.addr());
        Ok(())
    }
    unsafe fn map_guarded(frames: &[Hpa]) -> Result<*mut u8, MapError> {
        if frames.is_empty() {
            return Err(MapError::OutOfRange);
        }
        // Frames cannot be seen a second time here, in a row: other memory plays them.
        Ok(allocate(frames.len() as u64 * PAGE_SIZE, PAGE_SIZE))
    }
    unsafe fn unmap_guarded(at: *mut u8, pages: usize) {
        // SAFETY: the caller says that nobody uses it; `map_guarded` made it, with this layout.
        unsafe { std::alloc::dealloc(at, layout(pages as u64 * PAGE_SIZE, PAGE_SIZE)) }
    }
}

impl Cache for Hosted {
    fn make_visible_to_device(_start: *const u8, _length: usize) {}
    fn make_visible_to_cpu(_start: *const u8, _length: usize) {}
    fn make_code(_start: *const u8, _length: usize) {}
}

macro_rules! mmio {
    ($($read:ident $write:ident $type:ty, $width:expr;)*) => {
        impl Mmio for Hosted {
            $(
                unsafe fn $read(at: *const u8) -> $type {
                    match crate::registers::read(at, $width) {
                        Some(value) => value as $type,
                        // SAFETY: the caller says that `at` is mapped and aligned.
                        None => unsafe { at.cast::<$type>().read_volatile() },
                    }
                }
                unsafe fn $write(at: *mut u8, value: $type) {
                    if !crate::registers::write(at, $width, u64::from(value)) {
                        // SAFETY: the caller says that `at` is mapped and aligned.
                        unsafe { at.cast::<$type>().write_volatile(value) }
                    }
                }
            )*
        }
    };
}

mmio! {
    read8 write8 u8, Width::B1;
    read32 write32 u32, Width::B4;
    read64 write64 u64, Width::B8;
}

/// The byte at `at`, as an atomic: what races is then a torn value, in Miri's eyes too.
///
/// # Safety
/// `at` lies in mapped untyped memory.
unsafe fn byte<'a>(at: *const u8) -> &'a raw::AtomicU8 {
    // SAFETY: the memory is mapped, as the caller says, and all access to untyped memory is atomic.
    unsafe { raw::AtomicU8::from_ptr(at.cast_mut()) }
}

impl Untyped for Hosted {
    unsafe fn copy_out(from: *const u8, to: &mut [u8]) {
        for (offset, to) in to.iter_mut().enumerate() {
            // SAFETY: the caller says that the whole range is mapped untyped memory.
            *to = unsafe { byte(from.add(offset)) }.load(raw::Ordering::Relaxed);
        }
    }
    unsafe fn copy_in(to: *mut u8, from: &[u8]) {
        for (offset, from) in from.iter().enumerate() {
            // SAFETY: the caller says that the whole range is mapped untyped memory.
            unsafe { byte(to.add(offset)) }.store(*from, raw::Ordering::Relaxed);
        }
    }
    unsafe fn zero(to: *mut u8, length: usize) {
        if cfg!(miri) {
            // At once: byte for byte takes Miri seconds. It would tell if somebody else looked meanwhile.
            // SAFETY: the caller says that the whole range is mapped untyped memory.
            return unsafe { to.write_bytes(0, length) };
        }
        for offset in 0..length {
            // SAFETY: the caller says that the whole range is mapped untyped memory.
            unsafe { byte(to.add(offset)) }.store(0, raw::Ordering::Relaxed);
        }
    }
    unsafe fn load(from: *const u8, width: Width) -> u64 {
        let from = from.cast_mut();
        let order = raw::Ordering::Acquire;
        // SAFETY: the caller says that it is mapped untyped memory, aligned to the width.
        unsafe {
            match width {
                Width::B1 => u64::from(raw::AtomicU8::from_ptr(from).load(order)),
                Width::B2 => u64::from(raw::AtomicU16::from_ptr(from.cast()).load(order)),
                Width::B4 => u64::from(raw::AtomicU32::from_ptr(from.cast()).load(order)),
                Width::B8 => raw::AtomicU64::from_ptr(from.cast()).load(order),
            }
        }
    }
    unsafe fn store(to: *mut u8, width: Width, value: u64) {
        let order = raw::Ordering::Release;
        // SAFETY: the caller says that it is mapped untyped memory, aligned to the width. The casts
        // cut the value to the width.
        unsafe {
            match width {
                Width::B1 => raw::AtomicU8::from_ptr(to).store(value as u8, order),
                Width::B2 => raw::AtomicU16::from_ptr(to.cast()).store(value as u16, order),
                Width::B4 => raw::AtomicU32::from_ptr(to.cast()).store(value as u32, order),
                Width::B8 => raw::AtomicU64::from_ptr(to.cast()).store(value, order),
            }
        }
    }
}
