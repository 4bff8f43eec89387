//! Addresses: `reg` and `ranges` (2.3.6, 2.3.8).

use alloc::vec::Vec;

use crate::{Cells, Error, Node, Problem, Property};

/// A piece of an address space, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Region {
    /// The first address.
    pub start: u64,
    /// How many bytes; 0 where the bus has no sizes.
    pub size: u64,
}

impl Region {
    /// The address behind the last one, unless that is beyond 64 bits.
    pub fn end(self) -> Option<u64> {
        self.start.checked_add(self.size)
    }
}

/// A window of a bus: `size` bytes at `child` on the bus are at `parent` on the parent's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// Where it begins on the bus. (Of a PCI bus the upper cell says which space.)
    pub child: u128,
    /// Where it begins on the bus above.
    pub parent: u64,
    /// Bytes.
    pub size: u64,
}

impl<'t> Node<'t> {
    /// Cells of an address on the bus that this node is: `#address-cells`, 2 if it is not there.
    ///
    /// # Errors
    /// The property is no cell, or more than 4.
    pub fn address_cells(self) -> Result<usize, Error> {
        self.cell_count("#address-cells", 2)
    }

    /// Cells of a size on the bus that this node is: `#size-cells`, 1 if it is not there.
    ///
    /// # Errors
    /// The property is no cell, or more than 4.
    pub fn size_cells(self) -> Result<usize, Error> {
        self.cell_count("#size-cells", 1)
    }

    fn cell_count(self, name: &str, default: usize) -> Result<usize, Error> {
        let Some(property) = self.property(name) else { return Ok(default) };
        match property.u32()? {
            0 => Ok(0),
            1 => Ok(1),
            2 => Ok(2),
            3 => Ok(3),
            4 => Ok(4),
            more => Err(property.problem(Problem::CellCount(more))),
        }
    }

    /// The elements of `reg` as addresses of the CPU's physical address space.
    ///
    /// # Errors
    /// `reg` is missing or misshapen, or no chain of `ranges` leads from it to the root.
    pub fn reg(self) -> Result<Vec<Region>, Error> {
        self.property_regions(self.require("reg")?, Translate::ToRoot)
    }

    /// The elements of `reg` as they stand: addresses of the parent's bus, such as a CPU's number.
    ///
    /// # Errors
    /// `reg` is missing or misshapen.
    pub fn bus_reg(self) -> Result<Vec<Region>, Error> {
        self.property_regions(self.require("reg")?, Translate::Not)
    }

    /// The element of `reg` with this index, as [`Node::reg`] gives it.
    ///
    /// # Errors
    /// As [`Node::reg`]; or there is no such element.
    pub fn region(self, index: usize) -> Result<Region, Error> {
        let regions = self.reg()?;
        regions
            .get(index)
            .copied()
            .ok_or_else(|| Error::new(self.path(), Some("reg"), Problem::NoElement(index)))
    }

    /// The element of `reg` which `reg-names` gives this name.
    ///
    /// # Errors
    /// As [`Node::reg`]; or `reg-names` does not have the name.
    pub fn region_named(self, name: &str) -> Result<Region, Error> {
        self.region(self.require("reg-names")?.position(name)?)
    }

    fn property_regions(self, property: Property<'t>, translate: Translate) -> Result<Vec<Region>, Error> {
        let parent = self.parent().unwrap_or(self);
        let (address, size) = (parent.address_cells()?, parent.size_cells()?);
        let mut regions = Vec::new();
        for element in property.elements(address + size)? {
            let (start, size) = element.split(address).unwrap_or((element, element));
            let mut region = Region { start: 0, size: narrow(property, size)? };
            region.start = match translate {
                Translate::ToRoot => self.translate(property, start.number(), region.size)?,
                Translate::Not => narrow(property, start)?,
            };
            regions.push(region);
        }
        Ok(regions)
    }

    /// The CPU's physical address of `address` on the bus that this node sits on; `size` bytes must fit.
    fn translate(self, property: Property<'t>, mut address: u128, size: u64) -> Result<u64, Error> {
        let mut bus = self.parent();
        while let Some(node) = bus.filter(|node| node.parent().is_some()) {
            let ranges = node.ranges()?;
            // Empty `ranges` means: the same addresses on both sides.
            address = match ranges {
                Some(ranges) if ranges.is_empty() => address,
                Some(ranges) => {
                    let found = ranges.iter().find_map(|range| range.translate(address, size));
                    found.ok_or_else(|| unreachable(property, address))?
                }
                None => return Err(unreachable(property, address)),
            };
            bus = node.parent();
        }
        let start = u64::try_from(address).map_err(|_| unreachable(property, address))?;
        match start.checked_add(size.saturating_sub(1)) {
            Some(_) => Ok(start),
            None => Err(property.error("reaches beyond 64 bits")),
        }
    }

    /// The windows from this bus to the one above; `None` if there is no way.
    ///
    /// # Errors
    /// `ranges` is misshapen.
    pub fn ranges(self) -> Result<Option<Vec<Range>>, Error> {
        let Some(property) = self.property("ranges") else { return Ok(None) };
        if property.bytes().is_empty() {
            return Ok(Some(Vec::new()));
        }
        let (child, size) = (self.address_cells()?, self.size_cells()?);
        let parent = self.parent().map_or(Ok(2), Node::address_cells)?;
        let mut ranges = Vec::new();
        for element in property.elements(child + parent + size)? {
            let (child, rest) = element.split(child).unwrap_or((element, element));
            let (parent, size) = rest.split(parent).unwrap_or((rest, rest));
            ranges.push(Range {
                child: child.number(),
                parent: narrow(property, parent)?,
                size: narrow(property, size)?,
            });
        }
        Ok(Some(ranges))
    }
}

#[derive(Clone, Copy)]
enum Translate {
    ToRoot,
    Not,
}

impl Range {
    /// Where `size` bytes at `address` of the bus are on the bus above, if they are in this window.
    fn translate(self, address: u128, size: u64) -> Option<u128> {
        let offset = address.checked_sub(self.child)?;
        let room = u128::from(self.size).checked_sub(offset)?;
        (room > 0 && u128::from(size) <= room).then(|| u128::from(self.parent) + offset)
    }
}

fn unreachable(property: Property<'_>, address: u128) -> Error {
    property.problem(Problem::Unreachable(u64::try_from(address).unwrap_or(u64::MAX)))
}

/// The cells as a number of 64 bits.
fn narrow(property: Property<'_>, cells: Cells<'_>) -> Result<u64, Error> {
    u64::try_from(cells.number()).map_err(|_| property.error("has a number of more than 64 bits"))
}
