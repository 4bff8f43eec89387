//! The Generic Interrupt Controller, as drivers of one and emulators of one both need it: version 2 (IHI 0048B) and
//! version 3 (IHI 0069).
//!
//! | module | contents |
//! |---|---|
//! | this | interrupt numbers, triggers, device-tree specifiers |
//! | [`gicd`] | the distributor, of both versions |
//! | [`v2`] | CPU interface, virtual interface control and virtual CPU interface of version 2 |
//! | [`v3`] | redistributor, affinities, the fields of `ICC_*` and `ICH_*` |
//! | [`list`] | list registers, of both versions |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

use core::fmt;

pub mod gicd;
pub mod list;
mod specifier;
pub mod v2;
pub mod v3;

pub use specifier::{BadSpecifier, Specifier, Trigger};

/// An interrupt number, INTID.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntId(u32);

/// What an interrupt number is the number of (IHI 0069, 2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Software generated, private to a CPU: 0 to 15.
    Sgi,
    /// Private peripheral: 16 to 31, and 1056 to 1119.
    Ppi,
    /// Shared peripheral: 32 to 1019, and 4096 to 5119.
    Spi,
    /// No interrupt, but an answer: 1020 to 1023.
    Special,
    /// Locality-specific: from 8192.
    Lpi,
    /// Anything else.
    Reserved,
}

impl IntId {
    /// "There is nothing", as the CPU interface says it.
    pub const SPURIOUS: Self = Self(1023);

    /// The interrupt with this number.
    #[inline]
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Software generated interrupt `n`, of which the low four bits count.
    #[inline]
    pub const fn sgi(n: u32) -> Self {
        Self(n & 0xf)
    }

    /// Private peripheral interrupt `n`, counted as device trees do, below 16.
    pub const fn ppi(n: u32) -> Option<Self> {
        if n < 16 { Some(Self(16 + n)) } else { None }
    }

    /// Shared peripheral interrupt `n`, counted as device trees do, below 988.
    pub const fn spi(n: u32) -> Option<Self> {
        if n < 988 { Some(Self(32 + n)) } else { None }
    }

    /// The number.
    #[inline]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What it is the number of.
    pub const fn kind(self) -> Kind {
        match self.0 {
            0..16 => Kind::Sgi,
            16..32 | 1056..1120 => Kind::Ppi,
            32..1020 | 4096..5120 => Kind::Spi,
            1020..1024 => Kind::Special,
            8192.. => Kind::Lpi,
            _ => Kind::Reserved,
        }
    }
}

impl fmt::Debug for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `SGI 3`, `PPI 11` and `SPI 33` as device trees count them, otherwise the plain number.
impl fmt::Display for IntId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind(), self.0) {
            (Kind::Sgi, n) => write!(f, "SGI {n}"),
            (Kind::Ppi, n @ 16..32) => write!(f, "PPI {}", n - 16),
            (Kind::Spi, n @ 32..1020) => write!(f, "SPI {}", n - 32),
            (_, n) => write!(f, "INTID {n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn numbers_have_kinds_and_names() {
        assert_eq!(IntId::spi(1).map(IntId::number), Some(33));
        assert_eq!(IntId::ppi(11).map(|id| id.to_string()), Some("PPI 11".into()));
        assert_eq!(IntId::new(33).to_string(), "SPI 1");
        assert_eq!(IntId::new(4096).kind(), Kind::Spi);
        assert_eq!(IntId::new(4096).to_string(), "INTID 4096");
        assert_eq!(IntId::SPURIOUS.kind(), Kind::Special);
        assert_eq!(IntId::new(1024).kind(), Kind::Reserved);
        assert_eq!((IntId::ppi(16), IntId::spi(988)), (None, None));
    }
}
