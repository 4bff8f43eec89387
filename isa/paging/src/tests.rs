//! Operations one by one, then against a naive model, read back by a naive walker of the manual.
use std::collections::BTreeMap;

use addr::Hpa;

use crate::{
    Execute, Flush, MapError, OutOfTables, Permission, Shareability, Space, Stage1Attributes,
    Stage2Attributes, Stage2Memory, VmsaStage1El2, VmsaStage2,
};
use memory::Memory;

mod memory;
mod rv;

const KIB4: u64 = 1 << 12;
const MIB2: u64 = 1 << 21;
const GIB: u64 = 1 << 30;

const RAM: Stage2Attributes = Stage2Attributes {
    memory: Stage2Memory::NormalWriteBack,
    permission: Permission::ReadWrite,
    execute: Execute::Allowed,
    shareability: Shareability::Inner,
};
const ROM: Stage2Attributes = Stage2Attributes { permission: Permission::Read, ..RAM };
const DEVICE: Stage2Attributes = Stage2Attributes {
    memory: Stage2Memory::DeviceNGnRE,
    permission: Permission::ReadWrite,
    execute: Execute::Never,
    shareability: Shareability::Outer,
};

fn stage2(memory: &mut Memory, ipa_bits: u32) -> Space<VmsaStage2> {
    Space::new(VmsaStage2::new(ipa_bits, 5).unwrap(), memory).unwrap()
}

fn level(space: &Space<VmsaStage2>, memory: &Memory, at: u64) -> Option<i8> {
    space.translate(at, memory).map(|t| t.level)
}

#[test]
fn the_largest_blocks_that_fit_are_used() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    let start = GIB - MIB2 - KIB4;
    space.map(start, Hpa::new(5 * GIB + start), 2 * GIB, RAM, &mut memory).unwrap();
    assert_eq!(level(&space, &memory, start - 1), None);
    assert_eq!(level(&space, &memory, start), Some(3));
    assert_eq!(level(&space, &memory, GIB - MIB2), Some(2));
    assert_eq!(level(&space, &memory, GIB + 12345), Some(1));
    assert_eq!(level(&space, &memory, start + 2 * GIB - 1), Some(3));
    let found = space.translate(GIB + 12345, &memory).unwrap();
    assert_eq!((found.to, found.attributes), (Hpa::new(6 * GIB + 12345), RAM));
    assert_eq!(memory.invalidated, [], "mapping what was free needs no invalidation");
}

#[test]
fn misaligned_phys_means_small_pages() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    space.map(0, Hpa::new(GIB + KIB4), MIB2, RAM, &mut memory).unwrap();
    assert_eq!(level(&space, &memory, 0), Some(3));
}

#[test]
fn mapping_a_guest_of_256_mib_is_cheap() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    space.map(GIB, Hpa::new(2 * GIB), 256 << 20, RAM, &mut memory).unwrap();
    assert_eq!(memory.writes, 128 + 1);
    assert_eq!(memory.reads.get(), 128 + 1);
}

#[test]
fn a_refused_map_leaves_nothing_behind() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    space.map(3 * GIB, Hpa::new(0), KIB4, RAM, &mut memory).unwrap();
    let before = memory.pages_in_use();
    let refused = space.map(GIB - KIB4, Hpa::new(GIB - KIB4), 4 * GIB, RAM, &mut memory);
    assert_eq!(refused, Err(MapError::AlreadyMapped(3 * GIB)));
    assert_eq!(memory.pages_in_use(), before);
    assert_eq!(level(&space, &memory, GIB - KIB4), None);
    assert_eq!(level(&space, &memory, 2 * GIB), None);
    assert_eq!(level(&space, &memory, 3 * GIB), Some(3));
    for limit in before..before + 4 {
        memory.limit = limit;
        let refused = space.map(GIB - KIB4, Hpa::new(GIB - KIB4), GIB + 2 * KIB4, RAM, &mut memory);
        assert_eq!(refused, Err(MapError::OutOfTables));
        assert_eq!(memory.pages_in_use(), before);
        assert_eq!(level(&space, &memory, GIB), None);
    }
}

#[test]
fn ranges_that_no_entry_can_express_are_refused() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 32);
    let mut map = |virt, phys, len| space.map(virt, Hpa::new(phys), len, RAM, &mut memory);
    assert_eq!(map(1, 0, KIB4), Err(MapError::Misaligned));
    assert_eq!(map(0, 2, KIB4), Err(MapError::Misaligned));
    assert_eq!(map(0, 0, 100), Err(MapError::Misaligned));
    assert_eq!(map(4 * GIB, 0, KIB4), Err(MapError::OutOfRange));
    assert_eq!(map(4 * GIB - KIB4, 0, 2 * KIB4), Err(MapError::OutOfRange));
    assert_eq!(map(u64::MAX - 0xfff, 0, KIB4), Err(MapError::OutOfRange));
    assert_eq!(map(0, 1 << 48, KIB4), Err(MapError::OutOfRange));
    assert_eq!(map(0, u64::MAX - 0xfff, KIB4), Err(MapError::OutOfRange));
    assert_eq!(map(4 * GIB - KIB4, (1 << 48) - KIB4, KIB4), Ok(()));
    assert!(space.translate(4 * GIB, &memory).is_none());
}

#[test]
fn unmapping_part_of_a_block_splits_it_after_breaking_it() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    space.map(0, Hpa::new(GIB), GIB, RAM, &mut memory).unwrap();
    let flush = space.unmap(MIB2 + KIB4, KIB4, &mut memory).unwrap();
    assert_eq!(flush.range(), Some((MIB2 + KIB4, KIB4)));
    assert_eq!(memory.invalidated, [(0, GIB), (MIB2, MIB2)]);
    assert_eq!(level(&space, &memory, 0), Some(2));
    assert_eq!(level(&space, &memory, MIB2), Some(3));
    assert_eq!(level(&space, &memory, MIB2 + KIB4), None);
    assert_eq!(space.translate(MIB2 + 2 * KIB4, &memory).unwrap().to, Hpa::new(GIB + MIB2 + 2 * KIB4));
}

#[test]
fn unmapping_fails_only_before_it_has_begun() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 32);
    space.map(0, Hpa::new(0), 2 * GIB, RAM, &mut memory).unwrap();
    memory.limit = memory.pages_in_use() + 1;
    assert_eq!(space.unmap(KIB4, GIB, &mut memory), Err(OutOfTables));
    for at in [0, KIB4, MIB2, GIB - 1, GIB, 2 * GIB - 1] {
        assert_eq!(space.translate(at, &memory).unwrap().to, Hpa::new(at));
    }
}

#[test]
fn tables_that_become_empty_are_freed_after_invalidation() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    let before = memory.pages_in_use();
    space.map(KIB4, Hpa::new(0), 2 * KIB4, RAM, &mut memory).unwrap();
    let _ = space.unmap(KIB4, KIB4, &mut memory).unwrap();
    assert_eq!((memory.pages_in_use(), memory.invalidated.len()), (before + 2, 0));
    let _ = space.unmap(0, GIB, &mut memory).unwrap();
    assert_eq!(memory.pages_in_use(), before);
    assert_eq!(memory.invalidated, [(0, GIB)]);
}

#[test]
fn unmapping_nothing_needs_no_flush() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    let none = |flush: Result<Flush, OutOfTables>| flush.unwrap().range().is_none();
    assert!(none(space.unmap(0, 1 << 40, &mut memory)));
    assert!(none(space.unmap(5, 0, &mut memory)));
    assert!(none(space.unmap(u64::MAX, u64::MAX, &mut memory)));
}

#[test]
fn protecting_breaks_first_only_when_the_kind_of_memory_changes() {
    let mut memory = Memory::new(100);
    let space = stage2(&mut memory, 40);
    space.map(0, Hpa::new(0), 2 * MIB2, RAM, &mut memory).unwrap();
    let flush = space.protect(0, MIB2, ROM, &mut memory).unwrap();
    assert_eq!((flush.range(), memory.invalidated.len()), (Some((0, MIB2)), 0));
    assert_eq!(space.protect(0, MIB2, ROM, &mut memory).unwrap().range(), None);
    let _ = space.protect(0, MIB2, DEVICE, &mut memory).unwrap();
    assert_eq!(memory.invalidated, [(0, MIB2)]);
    assert_eq!(space.translate(MIB2 - 1, &memory).unwrap().attributes, DEVICE);
    assert_eq!(space.translate(MIB2, &memory).unwrap().attributes, RAM);
    let _ = space.protect(MIB2, KIB4, ROM, &mut memory).unwrap();
    assert_eq!(space.translate(MIB2, &memory).unwrap().attributes, ROM);
    assert_eq!(space.translate(MIB2 + KIB4, &memory).unwrap().attributes, RAM);
}

#[test]
fn dissolving_frees_every_table() {
    for bits in [30, 34, 36, 40, 43, 44, 48] {
        let mut memory = Memory::new(1000);
        let space = stage2(&mut memory, bits);
        let top = 1 << bits;
        for at in [0, top / 2 - KIB4, top / 2 + MIB2, top - KIB4] {
            space.map(at, Hpa::new(at), KIB4, RAM, &mut memory).unwrap();
            assert_eq!(space.translate(at, &memory).unwrap().to, Hpa::new(at));
        }
        space.dissolve(&mut memory);
        assert_eq!(memory.pages_in_use(), 0);
    }
}

#[test]
fn control_registers_say_what_the_tree_is() {
    let format = VmsaStage2::new(40, 2).unwrap();
    // RES1, PS 40 bits, inner shareable write-back walks, level 1, T0SZ 24.
    assert_eq!(format.vtcr(), 0x8002_3558);
    assert_eq!(crate::Format::root_order(&format), 1);
    assert_eq!(VmsaStage2::new(44, 4).unwrap().vtcr() >> 6 & 3, 2);
    assert_eq!(VmsaStage2::new(34, 4).unwrap().vtcr() >> 6 & 3, 0);
    assert_eq!(VmsaStage2::new(41, 2), None, "more than the processor has");
    assert_eq!(VmsaStage2::new(24, 2), None);
    assert_eq!(VmsaStage1El2::new(48, 6).unwrap().tcr(), 0x8085_3510);
    assert_eq!(VmsaStage1El2::new(49, 5), None);
}

#[test]
fn descriptors_are_the_manuals() {
    let mut memory = Memory::new(10);
    let space = stage2(&mut memory, 32);
    space.map(0, Hpa::new(0x4000_0000), KIB4, RAM, &mut memory).unwrap();
    space.map(MIB2, Hpa::new(0x0920_0000), MIB2, DEVICE, &mut memory).unwrap();
    let at = |memory: &Memory, input| memory.walk(space.root(), 32, 2, input).unwrap().0;
    assert_eq!(at(&memory, 0), 0x4000_0000 | 0b111_1111_1111);
    assert_eq!(at(&memory, MIB2), 1 << 54 | 0x0920_0000 | 0b110_1100_0101);

    let data = Stage1Attributes {
        memory: 3,
        permission: Permission::ReadWrite,
        execute: Execute::Never,
        shareability: Shareability::Inner,
    };
    let code = Stage1Attributes { permission: Permission::Read, execute: Execute::Allowed, ..data };
    let own = Space::new(VmsaStage1El2::new(39, 5).unwrap(), &mut memory).unwrap();
    own.map(0, Hpa::new(0x4000_0000), KIB4, data, &mut memory).unwrap();
    own.map(KIB4, Hpa::new(0x4000_1000), KIB4, code, &mut memory).unwrap();
    let at = |input| memory.walk(own.root(), 25, 1, input).unwrap().0;
    assert_eq!(at(0), 1 << 54 | 0x4000_0000 | 0b111_0100_1111);
    assert_eq!(at(KIB4), 0x4000_1000 | 0b111_1100_1111);
    assert_eq!(own.translate(KIB4, &memory).unwrap().attributes, code);
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

/// Random operations on 64 MiB around the border between two root entries, compared with a map of pages.
fn against_a_model(ipa_bits: u32, start_level: u32, border: u64, seed: u64) {
    const PAGES: u64 = 16384;
    let mut random = Random(seed);
    let mut memory = Memory::new(60);
    let space = stage2(&mut memory, ipa_bits);
    let mut model: BTreeMap<u64, (u64, Stage2Attributes)> = BTreeMap::new();
    let base = border - PAGES / 2 * KIB4;
    for step in 0..400 {
        memory.limit = if step % 7 == 0 { memory.pages_in_use() + 1 } else { 60 };
        // Often whole blocks, to have something to split.
        let grain = [1, 1, 16, 512][usize::try_from(random.below(4)).unwrap()];
        let first = random.below(PAGES / grain) * grain;
        let count = (1 + random.below(3 * 512 / grain)) * grain;
        let count = count.min(PAGES - first);
        let virt = base + first * KIB4;
        let attributes = [RAM, ROM, DEVICE][usize::try_from(random.below(3)).unwrap()];
        match random.below(4) {
            0 | 1 => {
                let phys = random.below(1 << 10) * grain + if random.below(2) == 0 { 0 } else { first };
                let taken = model.range(first..first + count).next().map(|(page, _)| base + page * KIB4);
                let result = space.map(virt, Hpa::new(phys * KIB4), count * KIB4, attributes, &mut memory);
                match result {
                    Ok(()) => {
                        assert_eq!(taken, None);
                        model.extend((0..count).map(|i| (first + i, (phys + i, attributes))));
                    }
                    Err(MapError::AlreadyMapped(at)) => assert_eq!(Some(at), taken),
                    Err(error) => assert_eq!(error, MapError::OutOfTables),
                }
            }
            2 => {
                if let Ok(flush) = space.unmap(virt, count * KIB4, &mut memory) {
                    let any = model.range(first..first + count).next().is_some();
                    assert!(!any || flush.range().is_some() || !memory.invalidated.is_empty());
                    model.retain(|page, _| !(first..first + count).contains(page));
                }
            }
            _ => {
                if space.protect(virt, count * KIB4, attributes, &mut memory).is_ok() {
                    model.range_mut(first..first + count).for_each(|(_, page)| page.1 = attributes);
                }
            }
        }
        memory.invalidated.clear();
        // All pages now and then, those at the borders of the operation always.
        let all = if step % 40 == 39 { 0..PAGES } else { 0..0 };
        let near = [first.wrapping_sub(1), first, first + count - 1, first + count];
        for page in near.into_iter().filter(|page| *page < PAGES).chain(all) {
            let at = base + page * KIB4 + 0x123;
            let expected = model.get(&page).map(|(to, attributes)| (to * KIB4 + 0x123, *attributes));
            let found = space.translate(at, &memory).map(|t| (t.to.get(), t.attributes));
            assert_eq!(found, expected, "step {step}, {at:#x}");
            let walked = memory.walk(space.root(), 64 - ipa_bits, start_level, at).map(|(_, to)| to);
            assert_eq!(walked, expected.map(|(to, _)| to), "step {step}, {at:#x}");
        }
    }
    memory.limit = 1000;
    let _ = space.unmap(0, 1 << ipa_bits, &mut memory).unwrap();
    assert_eq!(
        memory.pages_in_use(),
        1 << crate::Format::root_order(space.format()),
        "only the root is left"
    );
    space.dissolve(&mut memory);
    assert_eq!(memory.pages_in_use(), 0);
}

#[test]
fn random_operations_agree_with_a_map_of_pages_and_with_the_manual() {
    for seed in 1..6 {
        against_a_model(34, 2, 15 * GIB, seed);
        against_a_model(32, 2, GIB, seed);
        against_a_model(40, 1, 1 << 39, seed);
        against_a_model(39, 1, GIB, seed);
        against_a_model(48, 0, 1 << 39, seed);
    }
}
