//! The tables of VMSAv8-64 with the 4 KiB granule and 48-bit output addresses (DDI 0487, D8.3): stage 1 of EL2 without
//! the Virtualization Host Extensions, and stage 2.
use addr::Hpa;

use crate::{Entry, Format, LAST, Level};

const VALID: u64 = 1 << 0;
/// A table at levels 0 to 2, a page at level 3; clear, a block.
const TABLE_OR_PAGE: u64 = 1 << 1;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// AF; set from the beginning, since an access flag fault would tell us nothing.
const ACCESS_FLAG: u64 = 1 << 10;

/// Bits of a physical address that `ID_AA64MMFR0_EL1.PARange` (its low four bits) stands for.
pub const fn pa_range_bits(pa_range: u8) -> u32 {
    match pa_range & 0xf {
        0 => 32,
        1 => 36,
        2 => 40,
        3 => 42,
        4 => 44,
        5 => 48,
        6 => 52,
        _ => 56,
    }
}

/// The largest PARange, and PS of the control registers, that 48-bit tables can use.
const MAX_PA_RANGE: u8 = 5;

/// SH: who observes the memory coherently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shareability {
    /// This processor.
    None = 0b00,
    /// Everybody.
    Outer = 0b10,
    /// All processors that run this system.
    Inner = 0b11,
}

impl Shareability {
    const fn decode(entry: u64) -> Self {
        match (entry >> 8) & 3 {
            0b00 => Self::None,
            0b10 => Self::Outer,
            // 0b01 is reserved.
            _ => Self::Inner,
        }
    }
}

/// Reading and writing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permission {
    /// Neither; only stage 2 can say so.
    None,
    /// Reading.
    Read,
    /// Writing; only stage 2 can say so.
    Write,
    /// Both.
    ReadWrite,
}

/// Executing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Execute {
    /// XN is set.
    Never,
    /// XN is clear.
    Allowed,
}

const XN: u64 = 1 << 54;

impl Execute {
    const fn encode(self) -> u64 {
        match self {
            Self::Never => XN,
            Self::Allowed => 0,
        }
    }

    const fn decode(entry: u64) -> Self {
        if entry & XN != 0 { Self::Never } else { Self::Allowed }
    }
}

/// What a leaf of EL2's stage 1 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage1Attributes {
    /// AttrIndx: which byte of `MAIR_EL2` tells the kind of memory, 0 to 7.
    pub memory: u8,
    /// AP\[2\]. [`Permission::ReadWrite`], or else reading only.
    pub permission: Permission,
    /// XN.
    pub execute: Execute,
    /// SH.
    pub shareability: Shareability,
}

/// MemAttr of stage 2, which is combined with what the guest's stage 1 says; the weaker wins (without FEAT_S2FWB).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage2Memory {
    /// Device-nGnRnE.
    DeviceNGnRnE = 0b0000,
    /// Device-nGnRE.
    DeviceNGnRE = 0b0001,
    /// Device-nGRE.
    DeviceNGRE = 0b0010,
    /// Device-GRE.
    DeviceGRE = 0b0011,
    /// Normal, not cacheable.
    NormalUncached = 0b0101,
    /// Normal, write-through.
    NormalWriteThrough = 0b1010,
    /// Normal, write-back: leaves the choice to the guest.
    NormalWriteBack = 0b1111,
}

/// What a leaf of stage 2 says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stage2Attributes {
    /// MemAttr.
    pub memory: Stage2Memory,
    /// S2AP.
    pub permission: Permission,
    /// XN.
    pub execute: Execute,
    /// SH.
    pub shareability: Shareability,
}

/// What both stages read alike; `attributes` reads what is a leaf's own.
fn decode<A>(entry: u64, level: Level, attributes: impl FnOnce(u64) -> Option<A>) -> Entry<A> {
    if entry & VALID == 0 {
        return Entry::Invalid;
    }
    let to = Hpa::new(entry & ADDRESS);
    match (entry & TABLE_OR_PAGE != 0, level) {
        (true, 0..LAST) => Entry::Table(to),
        // The bits that a block does not need for its address are reserved or carry other things.
        (false, 1..LAST) => {
            let size = 1 << (12 + 9 * (LAST - level) as u32);
            attributes(entry).map_or(Entry::Invalid, |a| Entry::Leaf(to.align_down(size), a))
        }
        (true, LAST) => attributes(entry).map_or(Entry::Invalid, |a| Entry::Leaf(to, a)),
        // Reserved: a fault.
        _ => Entry::Invalid,
    }
}

const fn leaf(to: Hpa, level: Level, attributes: u64) -> u64 {
    let kind = if level == LAST { VALID | TABLE_OR_PAGE } else { VALID };
    (to.get() & ADDRESS) | attributes | ACCESS_FLAG | kind
}

const fn table(to: Hpa) -> u64 {
    (to.get() & ADDRESS) | VALID | TABLE_OR_PAGE
}

/// Fields that `TCR_EL2` and `VTCR_EL2` have alike: T0SZ, IRGN0, ORGN0 and SH0 for walks through write-back inner
/// shareable memory, TG0 for 4 KiB, PS, and bit 31, which is RES1.
const fn control(input_bits: u32, pa_range: u8) -> u64 {
    let t0sz = 64 - input_bits as u64;
    let walks = 0b11 << 12 | 0b01 << 10 | 0b01 << 8;
    1 << 31 | (pa_range as u64) << 16 | walks | t0sz
}

/// Stage 1 of EL2 without VHE: one range of addresses, from 0 up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmsaStage1El2 {
    input_bits: u32,
    pa_range: u8,
}

impl VmsaStage1El2 {
    /// For virtual addresses of `input_bits` bits, on a processor with this PARange; `None` unless 25 to 48 bits.
    ///
    /// 39 bits or fewer save a level.
    pub const fn new(input_bits: u32, pa_range: u8) -> Option<Self> {
        if input_bits < 25 || input_bits > 48 {
            return None;
        }
        let pa_range = if pa_range > MAX_PA_RANGE { MAX_PA_RANGE } else { pa_range };
        Some(Self { input_bits, pa_range })
    }

    /// `TCR_EL2` (`E2H` = 0).
    pub const fn tcr(self) -> u64 {
        // Bit 23 is RES1 here.
        control(self.input_bits, self.pa_range) | 1 << 23
    }
}

impl Format for VmsaStage1El2 {
    type Attributes = Stage1Attributes;

    fn first_level(&self) -> Level {
        // One level for every nine bits above the page's twelve.
        4 - (self.input_bits - 12).div_ceil(9) as Level
    }

    fn input_bits(&self) -> u32 {
        self.input_bits
    }

    fn output_bits(&self) -> u32 {
        pa_range_bits(self.pa_range)
    }

    #[inline]
    fn has_leaves(&self, level: Level) -> bool {
        level != 0
    }

    #[inline]
    fn decode(&self, entry: u64, level: Level) -> Entry<Stage1Attributes> {
        decode(entry, level, |entry| {
            Some(Stage1Attributes {
                memory: (entry >> 2) as u8 & 7,
                permission: if entry & (1 << 7) != 0 { Permission::Read } else { Permission::ReadWrite },
                execute: Execute::decode(entry),
                shareability: Shareability::decode(entry),
            })
        })
    }

    #[inline]
    fn table(&self, to: Hpa) -> u64 {
        table(to)
    }

    #[inline]
    fn leaf(&self, to: Hpa, attributes: Stage1Attributes, level: Level) -> u64 {
        // AP[1], bit 6, is RES1 in a regime without EL0.
        let access = match attributes.permission {
            Permission::ReadWrite => 1 << 6,
            _ => 1 << 7 | 1 << 6,
        };
        let bits = u64::from(attributes.memory & 7) << 2
            | access
            | (attributes.shareability as u64) << 8
            | attributes.execute.encode();
        leaf(to, level, bits)
    }

    fn may_change_live(&self, from: Stage1Attributes, to: Stage1Attributes) -> bool {
        // D8.16.1: break-before-make for changes of memory type, cacheability and shareability.
        from.memory == to.memory && from.shareability == to.shareability
    }
}

/// Stage 2: a guest's physical addresses, from 0 up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct VmsaStage2 {
    ipa_bits: u32,
    first_level: Level,
    pa_range: u8,
}

impl VmsaStage2 {
    /// For a guest-physical space of `ipa_bits` bits, 25 to 48, on a processor with this PARange; `None` if the processor
    /// cannot translate so many.
    ///
    /// The tree has as few levels as concatenating up to 16 tables at its root allows (D8.2.4).
    pub const fn new(ipa_bits: u32, pa_range: u8) -> Option<Self> {
        let pa_range = if pa_range > MAX_PA_RANGE { MAX_PA_RANGE } else { pa_range };
        if ipa_bits < 25 || ipa_bits > pa_range_bits(pa_range) {
            return None;
        }
        let first_level = match ipa_bits {
            0..=34 => 2,
            35..=43 => 1,
            _ => 0,
        };
        Some(Self { ipa_bits, first_level, pa_range })
    }

    /// `VTCR_EL2`, with 8-bit VMIDs and without hardware management of flags.
    pub const fn vtcr(self) -> u64 {
        let sl0 = 2 - self.first_level as u64;
        control(self.ipa_bits, self.pa_range) | sl0 << 6
    }
}

impl Format for VmsaStage2 {
    type Attributes = Stage2Attributes;

    #[inline]
    fn first_level(&self) -> Level {
        self.first_level
    }

    fn input_bits(&self) -> u32 {
        self.ipa_bits
    }

    fn output_bits(&self) -> u32 {
        pa_range_bits(self.pa_range)
    }

    #[inline]
    fn has_leaves(&self, level: Level) -> bool {
        level != 0
    }

    #[inline]
    fn decode(&self, entry: u64, level: Level) -> Entry<Stage2Attributes> {
        decode(entry, level, |entry| {
            let memory = match (entry >> 2) & 0xf {
                0b0000 => Stage2Memory::DeviceNGnRnE,
                0b0001 => Stage2Memory::DeviceNGnRE,
                0b0010 => Stage2Memory::DeviceNGRE,
                0b0011 => Stage2Memory::DeviceGRE,
                0b0101 => Stage2Memory::NormalUncached,
                0b1010 => Stage2Memory::NormalWriteThrough,
                0b1111 => Stage2Memory::NormalWriteBack,
                // Never written here.
                _ => return None,
            };
            let permission = match (entry >> 6) & 3 {
                0 => Permission::None,
                1 => Permission::Read,
                2 => Permission::Write,
                _ => Permission::ReadWrite,
            };
            let (execute, shareability) = (Execute::decode(entry), Shareability::decode(entry));
            Some(Stage2Attributes { memory, permission, execute, shareability })
        })
    }

    #[inline]
    fn table(&self, to: Hpa) -> u64 {
        table(to)
    }

    #[inline]
    fn leaf(&self, to: Hpa, attributes: Stage2Attributes, level: Level) -> u64 {
        let access = match attributes.permission {
            Permission::None => 0,
            Permission::Read => 1,
            Permission::Write => 2,
            Permission::ReadWrite => 3,
        };
        let bits = (attributes.memory as u64) << 2
            | access << 6
            | (attributes.shareability as u64) << 8
            | attributes.execute.encode();
        leaf(to, level, bits)
    }

    fn may_change_live(&self, from: Stage2Attributes, to: Stage2Attributes) -> bool {
        // D8.16.1, as for stage 1.
        from.memory == to.memory && from.shareability == to.shareability
    }
}
