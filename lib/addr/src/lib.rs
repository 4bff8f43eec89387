//! Addresses, with a type for each world they belong to.
//!
//! A host-physical and a guest-physical address are both 64 bits wide on every host (LPAE gives a
//! 32-bit processor 40-bit physical addresses), and must never be mistaken for one another.
#![no_std]
#![forbid(unsafe_code)]

use core::fmt;

/// log2 of [`PAGE_SIZE`].
pub const PAGE_SHIFT: u32 = 12;
/// Bytes in a frame of memory, and in the smallest mapping.
pub const PAGE_SIZE: u64 = 1 << PAGE_SHIFT;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            /// The address with this number.
            pub const fn new(address: u64) -> Self {
                Self(address)
            }
            /// The number.
            pub const fn get(self) -> u64 {
                self.0
            }
            /// `self + bytes`, or `None` past the end of the address space.
            pub const fn checked_add(self, bytes: u64) -> Option<Self> {
                match self.0.checked_add(bytes) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }
            /// `self + bytes`, wrapping; for sums that were checked before.
            pub const fn offset(self, bytes: u64) -> Self {
                Self(self.0.wrapping_add(bytes))
            }
            /// Bytes from `base` up to here, or `None` when `base` lies above.
            pub const fn since(self, base: Self) -> Option<u64> {
                self.0.checked_sub(base.0)
            }
            /// Whether the address is a multiple of `alignment`, a power of two.
            pub const fn is_aligned(self, alignment: u64) -> bool {
                self.0 & (alignment - 1) == 0
            }
            /// The next lower multiple of `alignment`, a power of two.
            pub const fn align_down(self, alignment: u64) -> Self {
                Self(self.0 & !(alignment - 1))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "0x{:016x}", self.0)
            }
        }
    };
}

address! {
    /// A host-physical address: what the machine's bus sees.
    Hpa
}
address! {
    /// A guest-physical address: what a guest takes for the machine's bus.
    Gpa
}

/// `length` bytes from `base` on. It never wraps: [`Span::new`] refuses what would.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Span<A> {
    base: A,
    length: u64,
}

macro_rules! span {
    ($name:ident) => {
        impl Span<$name> {
            /// `length` bytes from `base` on; `None` when they would pass the end of the address space.
            pub const fn new(base: $name, length: u64) -> Option<Self> {
                // The last byte must exist; the end itself may be 2^64 only for an empty rest.
                if length != 0 && base.0.checked_add(length - 1).is_none() {
                    None
                } else {
                    Some(Self { base, length })
                }
            }
            /// The first byte's address.
            pub const fn base(&self) -> $name {
                self.base
            }
            /// Bytes in the span.
            pub const fn length(&self) -> u64 {
                self.length
            }
            /// The address of the last byte; of the first one for an empty span.
            pub const fn last(&self) -> $name {
                $name(self.base.0 + self.length.saturating_sub(1))
            }
            /// Whether the byte at `address` is inside.
            pub const fn contains(&self, address: $name) -> bool {
                match address.0.checked_sub(self.base.0) {
                    Some(offset) => offset < self.length,
                    None => false,
                }
            }
            /// Whether all of `length` bytes at `address` are inside.
            pub const fn contains_all(&self, address: $name, length: u64) -> bool {
                match address.0.checked_sub(self.base.0) {
                    Some(offset) => offset <= self.length && length <= self.length - offset,
                    None => false,
                }
            }
            /// Whether the two share a byte.
            pub const fn overlaps(&self, other: &Self) -> bool {
                self.length != 0
                    && other.length != 0
                    && self.base.0 <= other.last().0
                    && other.base.0 <= self.last().0
            }
        }
        impl fmt::Debug for Span<$name> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}..={:#x}", self.base.0, self.last().0)
            }
        }
        impl fmt::Display for Span<$name> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}..={:#x}", self.base.0, self.last().0)
            }
        }
    };
}

span!(Hpa);
span!(Gpa);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_would_wrap_is_refused() {
        assert!(Span::<Gpa>::new(Gpa::new(u64::MAX), 2).is_none());
        assert!(Span::<Gpa>::new(Gpa::new(u64::MAX), 1).is_some());
    }

    #[test]
    fn spans_overlap_when_they_share_a_byte() {
        let a = Span::<Gpa>::new(Gpa::new(0x1000), 0x1000).unwrap();
        let b = Span::<Gpa>::new(Gpa::new(0x2000), 0x1000).unwrap();
        let c = Span::<Gpa>::new(Gpa::new(0x1fff), 1).unwrap();
        assert!(!a.overlaps(&b));
        assert!(a.overlaps(&c));
        assert!(a.contains_all(Gpa::new(0x1ff8), 8));
        assert!(!a.contains_all(Gpa::new(0x1ff9), 8));
    }
}
