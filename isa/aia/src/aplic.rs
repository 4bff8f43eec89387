//! The APLIC's registers, of one interrupt domain (4.5).

/// Interrupt sources that there can be, with number 0, which is none.
pub const MAX_SOURCES: u32 = 1024;
/// Harts that a domain can reach.
pub const MAX_HARTS: u32 = 16_384;

const SOURCECFG: u64 = 0x0000;
const MMSIADDRCFG: u64 = 0x1bc0;
const SETIP: u64 = 0x1c00;
const SETIPNUM: u64 = 0x1cdc;
const IN_CLRIP: u64 = 0x1d00;
const CLRIPNUM: u64 = 0x1ddc;
const SETIE: u64 = 0x1e00;
const SETIENUM: u64 = 0x1edc;
const CLRIE: u64 = 0x1f00;
const CLRIENUM: u64 = 0x1fdc;
const SETIPNUM_LE: u64 = 0x2000;
const SETIPNUM_BE: u64 = 0x2004;
const GENMSI: u64 = 0x3000;
const IDC: u64 = 0x4000;
const IDC_STRIDE: u64 = 32;

/// Bytes of registers of a domain that sends messages.
pub const SIZE_MSI: u64 = IDC;

/// Bytes of registers of a domain that interrupts so many harts directly: whole pages.
pub const fn size_direct(harts: u32) -> u64 {
    (IDC + harts as u64 * IDC_STRIDE).next_multiple_of(0x1000)
}

/// What an access to an offset is to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// domaincfg.
    DomainCfg,
    /// sourcecfg of a source.
    SourceCfg(u32),
    /// mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh: where the IMSICs are; in the root domain only.
    MsiAddrCfg(u32),
    /// setip: pending bits of 32 sources.
    SetIp(u32),
    /// setipnum: makes one pending; `LittleEndian` and `BigEndian` forms behave alike for us.
    SetIpNum,
    /// setipnum_le.
    SetIpNumLe,
    /// setipnum_be.
    SetIpNumBe,
    /// in_clrip: reads as the (rectified) inputs, writes clear pending bits.
    InClrIp(u32),
    /// clripnum.
    ClrIpNum,
    /// setie: enable bits.
    SetIe(u32),
    /// setienum.
    SetIeNum,
    /// clrie.
    ClrIe(u32),
    /// clrienum.
    ClrIeNum,
    /// genmsi: sends a message.
    GenMsi,
    /// target of a source.
    Target(u32),
    /// idelivery of a hart's interrupt delivery control.
    IDelivery(u32),
    /// iforce.
    IForce(u32),
    /// ithreshold.
    IThreshold(u32),
    /// topi.
    TopI(u32),
    /// claimi: reading takes what topi says.
    ClaimI(u32),
}

impl Register {
    /// The register at an offset.
    #[inline]
    pub fn decode(offset: u64) -> Option<Self> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        let word = |base: u64| ((offset - base) / 4) as u32;
        if offset >= IDC {
            let hart = (offset - IDC) / IDC_STRIDE;
            if hart >= MAX_HARTS as u64 {
                return None;
            }
            let hart = hart as u32;
            return match (offset - IDC) % IDC_STRIDE {
                0x00 => Some(Self::IDelivery(hart)),
                0x04 => Some(Self::IForce(hart)),
                0x08 => Some(Self::IThreshold(hart)),
                0x18 => Some(Self::TopI(hart)),
                0x1c => Some(Self::ClaimI(hart)),
                _ => None,
            };
        }
        Some(match offset {
            0 => Self::DomainCfg,
            0x0004..=0x0ffc => Self::SourceCfg(word(SOURCECFG)),
            MMSIADDRCFG..=0x1bcc => Self::MsiAddrCfg(word(MMSIADDRCFG)),
            SETIP..=0x1c7c => Self::SetIp(word(SETIP)),
            SETIPNUM => Self::SetIpNum,
            IN_CLRIP..=0x1d7c => Self::InClrIp(word(IN_CLRIP)),
            CLRIPNUM => Self::ClrIpNum,
            SETIE..=0x1e7c => Self::SetIe(word(SETIE)),
            SETIENUM => Self::SetIeNum,
            CLRIE..=0x1f7c => Self::ClrIe(word(CLRIE)),
            CLRIENUM => Self::ClrIeNum,
            SETIPNUM_LE => Self::SetIpNumLe,
            SETIPNUM_BE => Self::SetIpNumBe,
            GENMSI => Self::GenMsi,
            0x3004..=0x3ffc => Self::Target(word(GENMSI)),
            _ => return None,
        })
    }

    /// Where it is.
    #[inline]
    pub const fn offset(self) -> u64 {
        const fn at(base: u64, word: u32) -> u64 {
            base + word as u64 * 4
        }
        const fn idc(hart: u32, offset: u64) -> u64 {
            IDC + hart as u64 * IDC_STRIDE + offset
        }
        match self {
            Self::DomainCfg => 0,
            Self::SourceCfg(source) => at(SOURCECFG, source),
            Self::MsiAddrCfg(index) => at(MMSIADDRCFG, index),
            Self::SetIp(word) => at(SETIP, word),
            Self::SetIpNum => SETIPNUM,
            Self::SetIpNumLe => SETIPNUM_LE,
            Self::SetIpNumBe => SETIPNUM_BE,
            Self::InClrIp(word) => at(IN_CLRIP, word),
            Self::ClrIpNum => CLRIPNUM,
            Self::SetIe(word) => at(SETIE, word),
            Self::SetIeNum => SETIENUM,
            Self::ClrIe(word) => at(CLRIE, word),
            Self::ClrIeNum => CLRIENUM,
            Self::GenMsi => GENMSI,
            Self::Target(source) => at(GENMSI, source),
            Self::IDelivery(hart) => idc(hart, 0x00),
            Self::IForce(hart) => idc(hart, 0x04),
            Self::IThreshold(hart) => idc(hart, 0x08),
            Self::TopI(hart) => idc(hart, 0x18),
            Self::ClaimI(hart) => idc(hart, 0x1c),
        }
    }
}

/// Fields of domaincfg (4.5.1).
pub mod domaincfg {
    /// Bits 31:24, which read so.
    pub const READS: u32 = 0x80 << 24;
    /// The domain's interrupts are on.
    pub const IE: u32 = 1 << 8;
    /// They are delivered as messages, not directly.
    pub const DM: u32 = 1 << 2;
    /// Registers are big-endian.
    pub const BE: u32 = 1 << 0;
}

/// sourcecfg (4.5.2): bit 10 delegates the source to a child domain.
pub const SOURCECFG_DELEGATE: u32 = 1 << 10;

/// What a source's wire means: the field SM of sourcecfg (Table 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// It is not in use.
    #[default]
    Inactive = 0,
    /// The wire is not looked at; software makes the source pending.
    Detached = 1,
    /// Rising edges.
    EdgeRising = 4,
    /// Falling edges.
    EdgeFalling = 5,
    /// High levels.
    LevelHigh = 6,
    /// Low levels.
    LevelLow = 7,
}

impl Mode {
    /// The mode in the field; reserved values are `None`.
    pub const fn decode(field: u32) -> Option<Self> {
        Some(match field & 7 {
            0 => Self::Inactive,
            1 => Self::Detached,
            4 => Self::EdgeRising,
            5 => Self::EdgeFalling,
            6 => Self::LevelHigh,
            7 => Self::LevelLow,
            _ => return None,
        })
    }
    /// Whether the source is pending as long as its wire says so.
    pub const fn is_level(self) -> bool {
        matches!(self, Self::LevelHigh | Self::LevelLow)
    }
    /// Whether a low wire means something.
    pub const fn is_inverted(self) -> bool {
        matches!(self, Self::EdgeFalling | Self::LevelLow)
    }
}

/// Fields of target (4.5.16), genmsi (4.5.15), topi.
pub mod target {
    /// Where the hart's index begins.
    pub const HART_SHIFT: u32 = 18;
    /// The hart's index, shifted.
    pub const HART: u32 = 0x3fff;
    /// Where the guest's index begins, in messages.
    pub const GUEST_SHIFT: u32 = 12;
    /// The guest's index, shifted.
    pub const GUEST: u32 = 0x3f;
    /// The identity that a message carries.
    pub const IDENTITY: u32 = 0x7ff;
    /// The priority, where delivery is direct; 0 is taken for 1.
    pub const PRIORITY: u32 = 0xff;
    /// Where topi has the source's number.
    pub const SOURCE_SHIFT: u32 = 16;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_and_registers_are_each_others_inverse() {
        let mut known = 0;
        for offset in (0..size_direct(4)).step_by(4) {
            if let Some(register) = Register::decode(offset) {
                assert_eq!(register.offset(), offset, "{register:?}");
                known += 1;
            }
        }
        assert_eq!(known, 1 + 1023 + 4 + 4 * 33 + 3 + 1023 + 128 * 5);
    }

    #[test]
    fn registers_are_where_the_specification_has_them() {
        assert_eq!(Register::SourceCfg(10).offset(), 0x28);
        assert_eq!(Register::SetIp(0).offset(), 0x1c00);
        assert_eq!(Register::Target(1).offset(), 0x3004);
        assert_eq!(Register::ClaimI(1).offset(), 0x403c);
        assert_eq!(size_direct(1), 0x5000);
    }
}
