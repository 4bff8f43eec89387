//! Looking at physical addresses, and changing what is there, for the management terminal.
//!
//! This is the operator's screwdriver, like the reset button: it does what it is told, also to memory that
//! belongs to somebody. It refuses what it knows would stop the machine: addresses where nothing is known
//! to be, and our own image. Nothing else in the hypervisor may use it.
#![expect(unsafe_code, reason = "it reaches memory of whoever owns it")]

use core::fmt;

use addr::{Hpa, PAGE_SIZE, Span};
use alloc::vec::Vec;
use arch::{HostPaging, Machine, MapError, Mmio, Untyped, Width};
use host_sync::Spin;

use crate::claim::resources;
use crate::error::ClaimError;
use crate::frames::{is_all_ram, is_image};
use crate::mapping::Mapping;

/// Why something cannot be looked at or changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PeekError {
    /// The address is not a multiple of the width.
    Misaligned(Hpa),
    /// Nothing is known to be there.
    Unknown(Hpa),
    /// The range passes the end of the address space.
    OutOfRange,
    /// Registers of devices have no such width, and no ranges of them are read or written.
    Registers(Hpa),
    /// The firmware keeps it: an access may be a fault.
    Kept(Hpa),
    /// It belongs to the image of the hypervisor, which is not changed.
    Image(Hpa),
    /// The registers cannot be mapped.
    Map(MapError),
}

impl fmt::Display for PeekError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned(at) => write!(f, "{at} is not aligned"),
            Self::Unknown(at) => write!(f, "nothing is known to be at {at}"),
            Self::OutOfRange => f.write_str("past the end of the address space"),
            Self::Registers(at) => write!(f, "the registers at {at} can't be accessed so"),
            Self::Kept(at) => write!(f, "the firmware keeps what is at {at} for itself"),
            Self::Image(at) => write!(f, "{at} belongs to the hypervisor itself"),
            Self::Map(why) => write!(f, "cannot be mapped: {why}"),
        }
    }
}

impl core::error::Error for PeekError {}

/// Registers that the host's tree tells of, whether or not a driver has them.
static KNOWN: Spin<Vec<Span<Hpa>>> = Spin::new(Vec::new());

/// Says that there are registers at `span`, so that they may be looked at. What a driver claimed is known
/// anyway.
pub fn know(span: Span<Hpa>) {
    KNOWN.lock().push(span);
}

/// RAM that the firmware keeps for itself.
static KEPT: Spin<Vec<Span<Hpa>>> = Spin::new(Vec::new());

/// Says that the firmware keeps the RAM at `span` (`no-map` below `/reserved-memory`), and that nobody is to look there: it
/// may have seen to it that an access is a fault.
pub fn keep_out(span: Span<Hpa>) {
    KEPT.lock().push(span);
}

/// Bytes that are copied at once.
const PIECE: usize = 256;

/// Reads one value; of RAM or of a device's register.
pub fn read(at: Hpa, width: Width) -> Result<u64, PeekError> {
    match place(at, width)? {
        // SAFETY: all RAM is mapped; the address is aligned. What it holds may change meanwhile, which
        // this load, as one of untyped memory, is made for.
        Place::Ram(address) => Ok(unsafe { Machine::load(address, width) }),
        Place::Registers(mapping) => {
            let from = mapping.address();
            // SAFETY: the mapping is alive, and the address aligned.
            unsafe {
                match width {
                    Width::B1 => Ok(u64::from(Machine::read8(from))),
                    Width::B4 => Ok(u64::from(Machine::read32(from))),
                    Width::B8 => Ok(Machine::read64(from)),
                    Width::B2 => Err(PeekError::Registers(at)),
                }
            }
        }
    }
}

/// Writes one value; bits beyond the width are ignored.
pub fn write(at: Hpa, width: Width, value: u64) -> Result<(), PeekError> {
    match place(at, width)? {
        Place::Ram(address) => {
            refuse_image(span(at, width.bytes())?)?;
            // SAFETY: all RAM is mapped, and writable but for the image; the address is aligned. Whose
            // memory it is, the operator knows: see the beginning of this file.
            unsafe { Machine::store(address, width, value & width.mask()) }
        }
        Place::Registers(mapping) => {
            let to = mapping.address();
            // SAFETY: the mapping is alive, and the address aligned. The casts cut the value to the width.
            unsafe {
                match width {
                    Width::B1 => Machine::write8(to, value as u8),
                    Width::B4 => Machine::write32(to, value as u32),
                    Width::B8 => Machine::write64(to, value),
                    Width::B2 => return Err(PeekError::Registers(at)),
                }
            }
        }
    }
    Ok(())
}

/// Copies RAM out: as many bytes as `to` has.
pub fn read_bytes(at: Hpa, to: &mut [u8]) -> Result<(), PeekError> {
    ram(span(at, to.len() as u64)?)?;
    // SAFETY: all RAM is mapped; it may be written meanwhile, which this copy is made for.
    unsafe { Machine::copy_out(Machine::address_of(at), to) };
    Ok(())
}

/// Copies `length` bytes of RAM from `from` to `to`; the two may overlap.
pub fn copy(from: Hpa, to: Hpa, length: u64) -> Result<(), PeekError> {
    let target = span(to, length)?;
    ram(span(from, length)?)?;
    ram(target)?;
    refuse_image(target)?;
    let mut buffer = [0; PIECE];
    let mut done = 0;
    while done < length {
        let piece = (length - done).min(PIECE as u64);
        // From the end when the target lies above: what is still to be read must not be written over.
        let offset = if to > from { length - done - piece } else { done };
        let Some(part) = buffer.get_mut(..piece as usize) else { break };
        read_bytes(from.offset(offset), part)?;
        // SAFETY: all RAM is mapped, and writable but for the image; as for `write`.
        unsafe { Machine::copy_in(Machine::address_of(to.offset(offset)), part) };
        done += piece;
    }
    Ok(())
}

/// The CRC-32 (IEEE 802.3, as zlib's and Ethernet's) of RAM.
pub fn crc32(range: Span<Hpa>) -> Result<u32, PeekError> {
    ram(range)?;
    let mut buffer = [0; PIECE];
    let mut crc = u32::MAX;
    let mut done = 0;
    while done < range.length() {
        let piece = (range.length() - done).min(PIECE as u64);
        let Some(part) = buffer.get_mut(..piece as usize) else { break };
        read_bytes(range.base().offset(done), part)?;
        crc = part.iter().fold(crc, |crc, byte| {
            (0..8)
                .fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
        });
        done += piece;
    }
    Ok(!crc)
}

enum Place {
    Ram(*mut u8),
    Registers(Mapping),
}

fn place(at: Hpa, width: Width) -> Result<Place, PeekError> {
    if !at.is_aligned(width.bytes()) {
        return Err(PeekError::Misaligned(at));
    }
    let value = span(at, width.bytes())?;
    match ram(value) {
        // Registers, perhaps.
        Err(PeekError::Unknown(_)) => {}
        looked => return looked.map(|()| Place::Ram(Machine::address_of(at))),
    }
    let covers = |span: &Span<Hpa>| span.contains_all(value.base(), value.length());
    let known = KNOWN.lock().iter().any(covers) || resources().iter().any(|resource| covers(&resource.span));
    if !known {
        return Err(PeekError::Unknown(at));
    }
    match Mapping::of(value) {
        Ok(mapping) => Ok(Place::Registers(mapping)),
        Err(ClaimError::Map(why)) => Err(PeekError::Map(why)),
        Err(_) => Err(PeekError::Unknown(at)),
    }
}

fn span(at: Hpa, length: u64) -> Result<Span<Hpa>, PeekError> {
    Span::<Hpa>::new(at, length).ok_or(PeekError::OutOfRange)
}

/// Whether all of a range is RAM that may be looked at.
fn ram(range: Span<Hpa>) -> Result<(), PeekError> {
    if KEPT.lock().iter().any(|kept| kept.overlaps(&range)) {
        return Err(PeekError::Kept(range.base()));
    }
    if is_all_ram(range) { Ok(()) } else { Err(PeekError::Unknown(range.base())) }
}

fn refuse_image(range: Span<Hpa>) -> Result<(), PeekError> {
    // What shares its last page is mapped as the image is.
    let image = is_image(crate::claim::pages(range).unwrap_or(range));
    if image { Err(PeekError::Image(range.base())) } else { Ok(()) }
}

const _: () = assert!(PIECE as u64 <= PAGE_SIZE);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frames;

    #[test]
    fn memory_is_read_changed_copied_and_summed() {
        let mut frames = Frames::take(0).unwrap();
        frames.bytes_mut()[..9].copy_from_slice(b"123456789");
        let base = frames.base();
        assert_eq!(crc32(span(base, 9).unwrap()), Ok(0xcbf4_3926));
        assert_eq!(read(base, Width::B2), Ok(u64::from(u16::from_le_bytes(*b"12"))));
        assert_eq!(read(base.offset(1), Width::B2), Err(PeekError::Misaligned(base.offset(1))));

        write(base.offset(8), Width::B4, 0x1_4444_4141).unwrap();
        assert_eq!(&frames.bytes()[..14], b"12345678AADD\0\0");
        copy(base, base.offset(3), 1000).unwrap();
        assert_eq!(&frames.bytes()[..14], b"12312345678AAD");
        copy(base.offset(3), base, 1000).unwrap();
        assert_eq!(&frames.bytes()[..12], b"12345678AADD");
    }

    #[test]
    fn what_the_firmware_keeps_is_not_touched() {
        let frames = Frames::take(0).unwrap();
        let base = frames.base();
        keep_out(span(base, PAGE_SIZE).unwrap());
        assert_eq!(read(base, Width::B4), Err(PeekError::Kept(base)));
        assert_eq!(write(base, Width::B4, 1), Err(PeekError::Kept(base)));
        assert_eq!(copy(base, base, 4), Err(PeekError::Kept(base)));
        assert_eq!(crc32(span(base, 4).unwrap()), Err(PeekError::Kept(base)));
        // Other tests take the same frame.
        KEPT.lock().clear();
    }

    #[test]
    fn where_nothing_is_known_to_be_nothing_is_touched() {
        let nowhere = Hpa::new(0x10);
        assert_eq!(read(nowhere, Width::B4), Err(PeekError::Unknown(nowhere)));
        assert_eq!(write(nowhere, Width::B4, 1), Err(PeekError::Unknown(nowhere)));
        assert_eq!(copy(nowhere, nowhere, 4), Err(PeekError::Unknown(nowhere)));
        assert_eq!(crc32(span(nowhere, 4).unwrap()), Err(PeekError::Unknown(nowhere)));
    }
}
