//! Which regions a guest's memory has.

use addr::{Gpa, Span};
use alloc::vec::Vec;
use arch::Rights;
use atomic::Arc;

use crate::backing::{Backing, Run};
use crate::claim::Claim;
use crate::error::{AddError, OutOfBounds};

/// A region of a guest's memory.
#[derive(Clone, Debug)]
pub struct Region {
    pub(crate) span: Span<Gpa>,
    pub(crate) rights: Rights,
    pub(crate) content: Content,
}

/// What a region shows.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Memory, from this offset on.
    Memory(Arc<Backing>, u64),
    /// Registers of the host.
    Registers(Arc<Claim>),
}

impl Region {
    /// Where the guest sees it.
    pub fn span(&self) -> Span<Gpa> {
        self.span
    }

    /// What the guest may do with it.
    pub fn rights(&self) -> Rights {
        self.rights
    }

    /// The memory that it shows, and the offset in it of the region's first byte; `None` for the
    /// registers of a host's device.
    pub fn backing(&self) -> Option<(&Arc<Backing>, u64)> {
        match &self.content {
            Content::Memory(backing, offset) => Some((backing, *offset)),
            Content::Registers(_) => None,
        }
    }

    /// The host's registers that it shows.
    pub fn registers(&self) -> Option<&Arc<Claim>> {
        match &self.content {
            Content::Registers(claim) => Some(claim),
            Content::Memory(..) => None,
        }
    }

    /// The memory in one piece from `at` on, no further than this region goes.
    #[inline]
    fn run(&self, at: Gpa) -> Option<Run> {
        let Content::Memory(backing, offset) = &self.content else { return None };
        let inside = at.since(self.span.base())?;
        let run = backing.run(offset + inside)?;
        Some(Run { length: run.length.min(self.span.length() - inside), ..run })
    }
}

/// Who asks for memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// A reader.
    Read,
    /// A writer who may do what the guest may.
    Write,
    /// A loader, who fills what the guest can only read.
    Load,
}

impl Access {
    #[inline]
    fn is_allowed(self, rights: Rights) -> bool {
        self != Self::Write || rights != Rights::Constant
    }
}

/// Regions, sorted by address.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) regions: Vec<Region>,
}

impl Table {
    /// The region at `at`.
    #[inline]
    pub(crate) fn find(&self, at: Gpa) -> Option<&Region> {
        let after = self.regions.partition_point(|region| region.span.base() <= at);
        self.regions.get(after.checked_sub(1)?).filter(|region| region.span.contains(at))
    }

    /// The memory in one piece from `at` on.
    #[inline]
    pub(crate) fn run(&self, at: Gpa, access: Access) -> Result<Run, OutOfBounds> {
        let region = self.find(at).filter(|region| access.is_allowed(region.rights)).ok_or(OutOfBounds)?;
        region.run(at).ok_or(OutOfBounds)
    }

    /// Whether all of `length` bytes can be reached so.
    pub(crate) fn check(&self, mut at: Gpa, mut length: u64, access: Access) -> Result<(), OutOfBounds> {
        while length > 0 {
            let region =
                self.find(at).filter(|region| access.is_allowed(region.rights)).ok_or(OutOfBounds)?;
            if region.backing().is_none() {
                return Err(OutOfBounds);
            }
            let here = region.span.length() - at.since(region.span.base()).ok_or(OutOfBounds)?;
            if length <= here {
                break;
            }
            length -= here;
            at = at.checked_add(here).ok_or(OutOfBounds)?;
        }
        Ok(())
    }

    /// Whether no region has any of `span`.
    pub(crate) fn check_free(&self, span: Span<Gpa>) -> Result<(), AddError> {
        match self.regions.iter().find(|other| other.span.overlaps(&span)) {
            Some(other) => Err(AddError::Overlap(other.span)),
            None => Ok(()),
        }
    }

    /// A table that has `region` too.
    pub(crate) fn with(&self, region: Region) -> Result<Self, AddError> {
        self.check_free(region.span)?;
        let mut regions = Vec::new();
        regions.try_reserve_exact(self.regions.len() + 1)?;
        let place = self.regions.partition_point(|other| other.span.base() < region.span.base());
        let (before, after) = self.regions.split_at(place);
        regions.extend_from_slice(before);
        regions.push(region);
        regions.extend_from_slice(after);
        Ok(Self { regions })
    }

    /// A table without the region that begins at `at`, and that region.
    pub(crate) fn without(&self, at: Gpa) -> Option<(Self, Region)> {
        let place = self.regions.iter().position(|region| region.span.base() == at)?;
        let mut table = self.clone();
        let region = table.regions.remove(place);
        Some((table, region))
    }
}
