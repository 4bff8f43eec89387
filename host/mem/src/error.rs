//! What can go wrong with memory.

use core::fmt;

use addr::{Gpa, Hpa, Span};
use alloc::string::String;
use arch::MapError;

/// There are not enough free frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoMemory;

impl fmt::Display for NoMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not enough memory")
    }
}

/// Not all of the range is memory of the guest, or it has none any more, or the access is not allowed or
/// not aligned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutOfBounds;

impl fmt::Display for OutOfBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not memory of the guest")
    }
}

/// Why memory could not be set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InitError {
    /// There is no bank with a whole page.
    NoRam,
    /// Two banks overlap.
    Overlap(Span<Hpa>, Span<Hpa>),
    /// There is no free room for the allocator's books near the image.
    NoRoom,
    /// Our own address space could not be made.
    Map(MapError),
    /// It was done before.
    Twice,
}

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRam => f.write_str("there is no memory"),
            Self::Overlap(a, b) => write!(f, "memory {a} and memory {b} overlap"),
            Self::NoRoom => f.write_str("no free memory near the image"),
            Self::Map(why) => write!(f, "our address space: {why}"),
            Self::Twice => f.write_str("memory was set up before"),
        }
    }
}

/// Why addresses cannot be claimed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ClaimError {
    /// This owner has some of them.
    Taken(String),
    /// Some of them are RAM.
    IsMemory,
    /// There are none.
    Empty,
    /// They can't be mapped.
    Map(MapError),
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken(owner) => write!(f, "registers are taken by {owner}"),
            Self::IsMemory => f.write_str("registers lie in memory"),
            Self::Empty => f.write_str("no registers"),
            Self::Map(why) => write!(f, "registers cannot be mapped: {why}"),
        }
    }
}

/// Why a guest cannot have a region.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AddError {
    /// It has no bytes.
    Empty,
    /// Its address or its length is not a multiple of the page size.
    Misaligned,
    /// It lies beyond the guest's addresses, or beyond the backing's end.
    OutOfRange,
    /// It overlaps this region.
    Overlap(Span<Gpa>),
    /// There is no region.
    NoRegion,
    /// There is not enough memory.
    NoMemory,
    /// The guest's memory was revoked.
    Revoked,
    /// It cannot be mapped.
    Map(MapError),
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a region without bytes"),
            Self::Misaligned => f.write_str("not a multiple of the page size"),
            Self::OutOfRange => f.write_str("beyond the addresses that there are"),
            Self::Overlap(span) => write!(f, "overlaps the region {span}"),
            Self::NoRegion => f.write_str("there is no region"),
            Self::NoMemory => NoMemory.fmt(f),
            Self::Revoked => f.write_str("the guest ended"),
            Self::Map(why) => why.fmt(f),
        }
    }
}

impl From<NoMemory> for AddError {
    fn from(_: NoMemory) -> Self {
        Self::NoMemory
    }
}

impl From<alloc::collections::TryReserveError> for AddError {
    fn from(_: alloc::collections::TryReserveError) -> Self {
        Self::NoMemory
    }
}

impl From<MapError> for AddError {
    fn from(why: MapError) -> Self {
        match why {
            MapError::NoMemory => Self::NoMemory,
            why => Self::Map(why),
        }
    }
}

impl core::error::Error for NoMemory {}
impl core::error::Error for OutOfBounds {}
impl core::error::Error for InitError {}
impl core::error::Error for ClaimError {}
impl core::error::Error for AddError {}
