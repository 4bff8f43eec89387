//! RISC-V's formats, read back by a walker written from the manual's algorithm.
use addr::Hpa;

use crate::{Format, MapError, RvAttributes, RvFormat, RvMemory, RvMode, Space, Tables};

use super::memory::Memory;

const KIB4: u64 = 1 << 12;
const GIB: u64 = 1 << 30;
const RAM: RvAttributes = RvAttributes { write: true, execute: true, memory: RvMemory::Physical };
const ROM: RvAttributes = RvAttributes { write: false, ..RAM };

fn formats() -> impl Iterator<Item = RvFormat> {
    RvMode::ALL.into_iter().flat_map(|mode| [RvFormat::own(mode), RvFormat::guest(mode)])
}

/// "Virtual Address Translation Process", steps 1 to 9; the root of a guest's map takes two more bits.
fn walk(memory: &Memory, register: u64, guest: bool, at: u64) -> Option<(u64, u64)> {
    let levels = (register >> 60) - 5;
    let mut table = (register & ((1 << 44) - 1)) << 12;
    for i in (0..levels).rev() {
        let wide = guest && i + 1 == levels;
        let vpn = at >> (12 + 9 * i) & if wide { 0x7ff } else { 0x1ff };
        let entry = memory.read(Hpa::new(table), vpn as usize);
        if entry & 1 == 0 {
            return None;
        }
        assert_eq!(entry >> 54, 0, "nothing reserved is set");
        let page = (entry >> 10) << 12;
        if entry & 0b1110 == 0 {
            assert!(i > 0, "the last level has no pointers");
            table = page;
            continue;
        }
        assert_ne!(entry & 0b110, 0b100, "writable and not readable is reserved");
        assert_eq!(entry >> 4 & 1 == 1, guest, "U");
        assert_eq!(entry >> 6 & 3, 3, "A and D");
        let offset = (1 << (12 + 9 * i)) - 1;
        assert_eq!(page & offset, 0, "blocks are aligned");
        return Some((page | at & offset, entry & 0b1110));
    }
    None
}

#[test]
fn every_mode_maps_up_to_its_last_page() {
    for format in formats() {
        let mut memory = Memory::new(100);
        let space = Space::new(format, &mut memory).unwrap();
        let end = 1u64 << format.input_bits();
        let guest = format == RvFormat::guest(format.mode());
        let register = format.register(space.root(), 0);
        for (at, to) in [(0, 7 * GIB), (2 * GIB - KIB4, GIB), (end - KIB4, (1 << 56) - KIB4)] {
            space.map(at, Hpa::new(to), KIB4, RAM, &mut memory).unwrap();
            assert_eq!(walk(&memory, register, guest, at + 5), Some((to + 5, 0b1110)), "{format:?} {at:#x}");
            assert_eq!(space.translate(at + 5, &memory).unwrap().to, Hpa::new(to + 5));
        }
        let beyond = space.map(end, Hpa::new(0), KIB4, RAM, &mut memory);
        assert_eq!(beyond, Err(MapError::OutOfRange), "{format:?}");
        space.dissolve(&mut memory);
        assert_eq!(memory.pages_in_use(), 0);
    }
}

#[test]
fn blocks_of_all_sizes_lead_where_pages_would() {
    for format in formats() {
        let mut memory = Memory::new(100);
        let space = Space::new(format, &mut memory).unwrap();
        let register = format.register(space.root(), 0);
        let guest = format == RvFormat::guest(format.mode());
        let from = GIB - 3 * KIB4;
        space.map(from, Hpa::new(4 * GIB + from), 2 * GIB, RAM, &mut memory).unwrap();
        for at in [from, GIB - KIB4, GIB, GIB + 123_456, 2 * GIB, from + 2 * GIB - 1] {
            assert_eq!(walk(&memory, register, guest, at).map(|found| found.0), Some(4 * GIB + at));
        }
        assert_eq!(walk(&memory, register, guest, from + 2 * GIB), None);
        // A hole in a block, and other rights in another.
        let _ = space.unmap(GIB + KIB4, KIB4, &mut memory).unwrap();
        let _ = space.protect(GIB + 3 * KIB4, KIB4, ROM, &mut memory).unwrap();
        assert_eq!(walk(&memory, register, guest, GIB + KIB4), None);
        assert_eq!(walk(&memory, register, guest, GIB + 2 * KIB4), Some((5 * GIB + 2 * KIB4, 0b1110)));
        assert_eq!(walk(&memory, register, guest, GIB + 3 * KIB4), Some((5 * GIB + 3 * KIB4, 0b1010)));
    }
}

#[test]
fn a_guests_root_is_four_pages_and_its_register_names_mode_vmid_and_page() {
    let format = RvFormat::guest(RvMode::Sv39);
    let mut memory = Memory::new(100);
    let space = Space::new(format, &mut memory).unwrap();
    assert!(space.root().is_aligned(4 * KIB4));
    assert_eq!(memory.pages_in_use(), 4);
    assert_eq!(format.register(Hpa::new(0x8020_4000), 5), 8 << 60 | 5 << 44 | 0x80204);
    assert_eq!(RvFormat::own(RvMode::Sv57).register(Hpa::new(0x1000), 0), 10 << 60 | 1);
}

#[test]
fn entries_that_the_manual_forbids_map_nothing() {
    let format = RvFormat::own(RvMode::Sv39);
    // Write only; a block that is misaligned; a pointer on the last level; a reserved memory type; N.
    let bad = [(0b101, 3), (0b1111 | 1 << 10, 2), (0b1, 3), (0b111 | 3 << 61, 3), (0b111 | 1 << 63, 3)];
    for (entry, level) in bad {
        assert_eq!(format.decode(entry, level), crate::Entry::Invalid, "{entry:#x}");
    }
}
