//! The tables of RISC-V (Privileged Manual, "Sv39", "Sv48", "Sv57", and the hypervisor extension's "Sv39x4",
//! "Sv48x4", "Sv57x4", which have two more bits of input and a root of four pages).
use addr::Hpa;

use crate::{Entry, Format, LAST, Level};

const VALID: u64 = 1 << 0;
const READ: u64 = 1 << 1;
const WRITE: u64 = 1 << 2;
const EXECUTE: u64 = 1 << 3;
/// U: must be set in a guest's map, whose accesses all count as a user's, and never is in our own.
const USER: u64 = 1 << 4;
/// A and D; set from the beginning, since faults for them would tell us nothing.
const ACCESSED_AND_DIRTY: u64 = 1 << 6 | 1 << 7;
/// The physical page number, 44 bits.
const PAGE_NUMBER: u64 = ((1 << 44) - 1) << 10;
const PBMT_SHIFT: u32 = 61;
/// N of Svnapot and what is reserved.
const RESERVED: u64 = 1 << 63 | 0x7f << 54;

/// How many levels the tree has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RvMode {
    /// Three.
    Sv39 = 8,
    /// Four.
    Sv48 = 9,
    /// Five.
    Sv57 = 10,
}

impl RvMode {
    /// All of them, the largest first.
    pub const ALL: [Self; 3] = [Self::Sv57, Self::Sv48, Self::Sv39];

    /// MODE of `satp` and of `hgatp`.
    pub const fn field(self) -> u64 {
        self as u64
    }

    const fn levels(self) -> u32 {
        self as u32 - 5
    }
}

/// Memory types of Svpbmt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RvMemory {
    /// What the physical address says (PMA).
    Physical = 0,
    /// Memory that is not cached.
    Uncached = 1,
    /// Registers.
    Io = 2,
}

/// What a leaf says. All can be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RvAttributes {
    /// W.
    pub write: bool,
    /// X.
    pub execute: bool,
    /// PBMT; other than [`RvMemory::Physical`] only where Svpbmt is.
    pub memory: RvMemory,
}

/// The format of one stage of translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RvFormat {
    mode: RvMode,
    guest: bool,
}

impl RvFormat {
    /// Our own addresses (`satp`): the lower half, where no bit is a sign.
    pub const fn own(mode: RvMode) -> Self {
        Self { mode, guest: false }
    }

    /// A guest's physical addresses (`hgatp`).
    pub const fn guest(mode: RvMode) -> Self {
        Self { mode, guest: true }
    }

    /// The mode.
    pub const fn mode(self) -> RvMode {
        self.mode
    }

    /// `satp` or `hgatp` for the tables at `root`, under this ASID or VMID.
    pub const fn register(self, root: Hpa, id: u16) -> u64 {
        let id_shift = 44;
        self.mode.field() << 60 | (id as u64) << id_shift | root.get() >> 12
    }
}

impl Format for RvFormat {
    type Attributes = RvAttributes;

    #[inline]
    fn first_level(&self) -> Level {
        LAST + 1 - self.mode.levels() as Level
    }

    #[inline]
    fn input_bits(&self) -> u32 {
        let bits = 12 + 9 * self.mode.levels();
        if self.guest { bits + 2 } else { bits - 1 }
    }

    fn output_bits(&self) -> u32 {
        56
    }

    #[inline]
    fn has_leaves(&self, _level: Level) -> bool {
        true
    }

    #[inline]
    fn decode(&self, entry: u64, level: Level) -> Entry<RvAttributes> {
        if entry & VALID == 0 || entry & RESERVED != 0 {
            return Entry::Invalid;
        }
        let to = Hpa::new((entry & PAGE_NUMBER) << 2);
        if entry & (READ | WRITE | EXECUTE) == 0 {
            return if level < LAST { Entry::Table(to) } else { Entry::Invalid };
        }
        let memory = match entry >> PBMT_SHIFT & 3 {
            0 => RvMemory::Physical,
            1 => RvMemory::Uncached,
            2 => RvMemory::Io,
            _ => return Entry::Invalid,
        };
        // A block that is not aligned to its size is a fault, as is one that can only be written.
        if !to.is_aligned(1 << self.shift(level)) || entry & READ == 0 {
            return Entry::Invalid;
        }
        Entry::Leaf(to, RvAttributes { write: entry & WRITE != 0, execute: entry & EXECUTE != 0, memory })
    }

    #[inline]
    fn table(&self, table: Hpa) -> u64 {
        (table.get() >> 2) & PAGE_NUMBER | VALID
    }

    #[inline]
    fn leaf(&self, to: Hpa, attributes: RvAttributes, _level: Level) -> u64 {
        let mut entry = (to.get() >> 2) & PAGE_NUMBER | VALID | READ | ACCESSED_AND_DIRTY;
        if attributes.write {
            entry |= WRITE;
        }
        if attributes.execute {
            entry |= EXECUTE;
        }
        if self.guest {
            entry |= USER;
        }
        entry | (attributes.memory as u64) << PBMT_SHIFT
    }

    fn may_change_live(&self, _from: RvAttributes, _to: RvAttributes) -> bool {
        // Any valid entry may replace another; what is remembered of the old one goes with the fence.
        true
    }
}
