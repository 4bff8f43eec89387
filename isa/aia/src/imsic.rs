//! The IMSIC: interrupt files, their registers, and where they are in memory (3.5 to 3.8).

/// Bytes of one interrupt file in memory.
pub const FILE_SIZE: u64 = 0x1000;
/// Offset, in a file's page, of the register that makes an interrupt pending; little-endian.
pub const SETEIPNUM_LE: u64 = 0x000;
/// The same, big-endian.
pub const SETEIPNUM_BE: u64 = 0x004;
/// Identities that there can be, with 0, which is none.
pub const MAX_IDENTITIES: u32 = 2048;

/// Numbers of indirect registers, as siselect holds them (3.8).
pub mod select {
    /// eidelivery: whether the file interrupts its hart.
    pub const EIDELIVERY: u32 = 0x70;
    /// eithreshold: identities from here on do not interrupt; 0 for all do.
    pub const EITHRESHOLD: u32 = 0x72;
    /// eip0, the first word of pending bits. With 64-bit registers only even numbers exist.
    pub const EIP0: u32 = 0x80;
    /// eip63, the last.
    pub const EIP63: u32 = 0xbf;
    /// eie0, the first word of enable bits.
    pub const EIE0: u32 = 0xc0;
    /// eie63, the last.
    pub const EIE63: u32 = 0xff;
}

/// An indirect register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// eidelivery.
    Delivery,
    /// eithreshold.
    Threshold,
    /// Pending bits of 64 identities, from `64 * n` on.
    Pending(u32),
    /// Enable bits, likewise.
    Enable(u32),
}

impl Register {
    /// The register that siselect names, where registers have 64 bits.
    #[inline]
    pub const fn decode(select: u32) -> Option<Self> {
        use select::{EIDELIVERY, EIE0, EIE63, EIP0, EIP63, EITHRESHOLD};
        Some(match select {
            EIDELIVERY => Self::Delivery,
            EITHRESHOLD => Self::Threshold,
            EIP0..=EIP63 if select.is_multiple_of(2) => Self::Pending((select - EIP0) / 2),
            EIE0..=EIE63 if select.is_multiple_of(2) => Self::Enable((select - EIE0) / 2),
            _ => return None,
        })
    }
}

/// eidelivery: the file interrupts its hart.
pub const DELIVER: u64 = 1;
/// eidelivery: the hart is interrupted by an APLIC directly.
pub const DELIVER_APLIC: u64 = 0x4000_0000;

/// What stopei says of an identity: it stands in bits 26:16 and, as its priority, in bits 10:0.
#[inline]
pub const fn topei(identity: u32) -> u64 {
    let identity = (identity & 0x7ff) as u64;
    identity << 16 | identity
}

/// The identity in what stopei says.
#[inline]
pub const fn identity(topei: u64) -> u32 {
    (topei >> 16) as u32 & 0x7ff
}

/// How the files of many harts lie in memory (3.6), as the node's properties `riscv,…-index-bits` say: the supervisor's
/// file of a hart is followed by those of its guests; harts of a group follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Bits that tell a hart's files apart.
    pub guest_bits: u32,
    /// Bits that tell the harts of a group apart.
    pub hart_bits: u32,
    /// Bits that tell groups apart.
    pub group_bits: u32,
    /// Where in an address those are.
    pub group_shift: u32,
}

impl Layout {
    /// The binding's own for a number of harts (`riscv,imsics.yaml`): one group, no guests.
    pub const fn for_harts(harts: u32) -> Self {
        let hart_bits = if harts <= 1 { 0 } else { u32::BITS - (harts - 1).leading_zeros() };
        Self { guest_bits: 0, hart_bits, group_bits: 0, group_shift: 24 }
    }

    /// The address, relative to the first file of all, of a hart's file: 0 the supervisor's, from 1 on guests'.
    #[inline]
    pub const fn offset(self, hart: u32, guest: u32) -> u64 {
        let within = hart & ((1 << self.hart_bits) - 1);
        let group = hart >> self.hart_bits;
        ((group as u64) << self.group_shift)
            | ((within as u64) << (12 + self.guest_bits))
            | ((guest as u64) << 12)
    }

    /// Whose page is at an offset from the first file of all: hart and guest.
    #[inline]
    pub const fn place(self, offset: u64) -> (u32, u32) {
        let guest = (offset >> 12) as u32 & ((1 << self.guest_bits) - 1);
        let within = (offset >> (12 + self.guest_bits)) as u32 & ((1 << self.hart_bits) - 1);
        let group = if self.group_bits == 0 {
            0
        } else {
            (offset >> self.group_shift) as u32 & ((1 << self.group_bits) - 1)
        };
        (group << self.hart_bits | within, guest)
    }

    /// Whether these numbers can be: an address has so many bits, and fields do not overlap.
    pub const fn is_possible(self) -> bool {
        self.guest_bits <= 6
            && self.hart_bits <= 14
            && self.group_bits <= 7
            && self.group_shift < 56
            && (self.group_bits == 0 || self.group_shift >= 12 + self.guest_bits + self.hart_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_and_told() {
        let layout = Layout { guest_bits: 2, hart_bits: 3, group_bits: 1, group_shift: 24 };
        assert!(layout.is_possible());
        for hart in 0..16 {
            for guest in 0..4 {
                assert_eq!(layout.place(layout.offset(hart, guest)), (hart, guest));
            }
        }
        assert_eq!(layout.offset(1, 2), 0x6000);
        assert_eq!(layout.offset(8, 0), 1 << 24);
    }

    #[test]
    fn harts_take_as_many_bits_as_they_need() {
        let bits = |harts| Layout::for_harts(harts).hart_bits;
        assert_eq!([bits(1), bits(2), bits(3), bits(4), bits(5), bits(8)], [0, 1, 2, 2, 3, 3]);
    }

    #[test]
    fn only_even_words_exist() {
        assert_eq!(Register::decode(0x80), Some(Register::Pending(0)));
        assert_eq!(Register::decode(0x81), None);
        assert_eq!(Register::decode(0xfe), Some(Register::Enable(31)));
        assert_eq!(Register::decode(0x71), None);
        assert_eq!(identity(topei(77)), 77);
    }
}
