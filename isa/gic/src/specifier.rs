//! Interrupt specifiers in device trees (binding `arm,gic` and `arm,gic-v3`): type, number, flags.
use core::fmt;

use crate::IntId;

/// When an interrupt is pending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// From an edge on, until it is acknowledged.
    Edge,
    /// While its line is asserted.
    Level,
}

/// A specifier of three cells, understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Specifier {
    /// Which interrupt.
    pub id: IntId,
    /// When it is pending.
    pub trigger: Trigger,
}

/// Why cells are no specifier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BadSpecifier {
    /// There are not three of them or more.
    TooShort,
    /// The first cell is no type: 0 SPI, 1 PPI, 2 extended SPI, 3 extended PPI.
    Type(u32),
    /// The second cell is no number of that type.
    Number(u32),
    /// The third cell's low four bits, none or one of 1, 2, 4 and 8.
    Flags(u32),
}

impl fmt::Display for BadSpecifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort => write!(f, "an interrupt specifier of fewer than three cells"),
            Self::Type(cell) => write!(f, "interrupt type {cell} is neither SPI (0) nor PPI (1)"),
            Self::Number(cell) => write!(f, "there is no interrupt {cell} of that type"),
            Self::Flags(cell) => write!(f, "interrupt flags {cell:#x} name no trigger or several"),
        }
    }
}

impl core::error::Error for BadSpecifier {}

impl Specifier {
    /// Understands the cells of a specifier; those after the third (a partition of CPUs) do not matter here.
    ///
    /// The polarity is dropped: the GIC sees edges that rise and levels that are high, whatever the device does. A third
    /// cell without trigger means a level, as for the binding's users.
    ///
    /// # Errors
    ///
    /// Names the cell that is wrong.
    pub const fn parse(cells: &[u32]) -> Result<Self, BadSpecifier> {
        let &[kind, number, flags, ..] = cells else {
            return Err(BadSpecifier::TooShort);
        };
        let id = match (kind, number) {
            (0, 0..988) => IntId(32 + number),
            (1, 0..16) => IntId(16 + number),
            (2, 0..1024) => IntId(4096 + number),
            (3, 0..64) => IntId(1056 + number),
            (0..=3, _) => return Err(BadSpecifier::Number(number)),
            _ => return Err(BadSpecifier::Type(kind)),
        };
        // Bits 15:8 are the mask of CPUs that a PPI of GICv2 reaches.
        let trigger = match flags & 0xf {
            1 | 2 => Trigger::Edge,
            0 | 4 | 8 => Trigger::Level,
            _ => return Err(BadSpecifier::Flags(flags)),
        };
        Ok(Self { id, trigger })
    }

    /// The three cells, or `None` for a number that device trees cannot name, such as an SGI.
    pub const fn cells(self) -> Option<[u32; 3]> {
        let flags = match self.trigger {
            Trigger::Edge => 1,
            Trigger::Level => 4,
        };
        Some(match self.id.0 {
            n @ 16..32 => [1, n - 16, flags],
            n @ 32..1020 => [0, n - 32, flags],
            n @ 1056..1120 => [3, n - 1056, flags],
            n @ 4096..5120 => [2, n - 4096, flags],
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specifier_survives_the_tree() {
        for number in 0..9000 {
            for trigger in [Trigger::Edge, Trigger::Level] {
                let specifier = Specifier { id: IntId::new(number), trigger };
                if let Some(cells) = specifier.cells() {
                    assert_eq!(Specifier::parse(&cells), Ok(specifier));
                }
            }
        }
        assert_eq!(Specifier { id: IntId::sgi(1), trigger: Trigger::Edge }.cells(), None);
    }

    #[test]
    fn the_cell_that_is_wrong_is_named() {
        assert_eq!(Specifier::parse(&[0, 1]), Err(BadSpecifier::TooShort));
        assert_eq!(Specifier::parse(&[7, 1, 4]), Err(BadSpecifier::Type(7)));
        assert_eq!(Specifier::parse(&[0, 988, 4]), Err(BadSpecifier::Number(988)));
        assert_eq!(Specifier::parse(&[1, 16, 4]), Err(BadSpecifier::Number(16)));
        assert_eq!(Specifier::parse(&[1, 3, 5]), Err(BadSpecifier::Flags(5)));
    }

    #[test]
    fn the_cpu_mask_of_a_ppi_is_no_trigger() {
        let timer = Specifier::parse(&[1, 11, 0xf08, 0]).unwrap();
        assert_eq!((timer.id, timer.trigger), (IntId::new(27), Trigger::Level));
    }
}
