//! An owned window on a device's registers.
#![expect(unsafe_code, reason = "registers are reached through their mapping")]

use core::fmt;

use addr::{Hpa, Span};
use arch::{Machine, Mmio};
use host_mem::{Claim, ClaimError, Mapping};

/// The registers of one device, claimed and mapped. Dropping it unmaps them and gives the claim back.
///
/// An access that is not wholly inside, or not aligned to its width, is a bug of the driver: it panics in
/// debug builds; otherwise it reads 0 or writes nothing.
pub struct Window {
    // Dropped in this order: nobody else may claim what is still mapped.
    mapping: Mapping,
    claim: Claim,
}

macro_rules! access {
    ($read:ident $write:ident $type:ident $bits:literal) => {
        #[doc = concat!("Reads the ", $bits, " bits at `offset`.")]
        #[inline]
        pub fn $read(&self, offset: u64) -> $type {
            match self.place(offset, size_of::<$type>()) {
                // SAFETY: the mapping lives as long as `self`, and `place` checked bounds and alignment.
                Some(at) => unsafe { Machine::$read(at) },
                None => 0,
            }
        }

        #[doc = concat!("Writes the ", $bits, " bits at `offset`.")]
        #[inline]
        pub fn $write(&self, offset: u64, value: $type) {
            if let Some(at) = self.place(offset, size_of::<$type>()) {
                // SAFETY: the mapping lives as long as `self`, and `place` checked bounds and alignment.
                unsafe { Machine::$write(at, value) }
            }
        }
    };
}

impl Window {
    /// Claims `span` for `owner` and maps it.
    ///
    /// # Errors
    /// As [`ClaimError`] says.
    pub fn claim(span: Span<Hpa>, owner: &str) -> Result<Self, ClaimError> {
        let claim = Claim::new(span, owner)?;
        Ok(Self { mapping: Mapping::new(&claim)?, claim })
    }

    /// Where the registers are.
    pub fn span(&self) -> Span<Hpa> {
        self.claim.span()
    }

    /// Bytes.
    pub fn length(&self) -> u64 {
        self.claim.span().length()
    }

    /// Where we see them, as long as the window lives; for the architecture, which reaches an interrupt
    /// controller's registers by itself.
    pub fn address(&self) -> usize {
        self.mapping.address().expose_provenance()
    }

    access!(read8 write8 u8 "8");
    access!(read32 write32 u32 "32");
    access!(read64 write64 u64 "64");

    #[inline]
    fn place(&self, offset: u64, width: usize) -> Option<*mut u8> {
        let at = self.mapping.address().wrapping_add(offset as usize);
        let inside = offset.checked_add(width as u64).is_some_and(|end| end <= self.length());
        let fits = inside && at.addr().is_multiple_of(width);
        debug_assert!(fits, "{width} bytes at {offset:#x} of {self:?}");
        fits.then_some(at)
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Window({})", self.span())
    }
}
