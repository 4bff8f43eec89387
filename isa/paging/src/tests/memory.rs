//! Fakes: memory for tables that notices misuse, and a walker that reads it as the manual says.
use std::collections::BTreeMap;
use std::vec::Vec;

use addr::Hpa;

use crate::Tables;

/// Memory from which at most `limit` pages can be allocated at a time.
pub(super) struct Memory {
    blocks: BTreeMap<u64, Vec<u64>>,
    next: u64,
    used: usize,
    pub(super) limit: usize,
    pub(super) reads: core::cell::Cell<usize>,
    pub(super) writes: usize,
    pub(super) invalidated: Vec<(u64, u64)>,
}

impl Memory {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            blocks: BTreeMap::new(),
            next: 0x4000_0000,
            used: 0,
            limit,
            reads: 0.into(),
            writes: 0,
            invalidated: Vec::new(),
        }
    }

    pub(super) fn pages_in_use(&self) -> usize {
        self.used
    }

    /// The word at a physical address, as a table walk of the hardware fetches it.
    fn word(&self, address: u64) -> u64 {
        let (base, words) = self.blocks.range(..=address).next_back().expect("a walk stays in tables");
        words[usize::try_from((address - base) / 8).expect("64 bits")]
    }

    /// Translates as DDI 0487 D8.2 describes for the 4 KiB granule, given the register fields; the descriptor, and the
    /// output address.
    pub(super) fn walk(&self, root: Hpa, t0sz: u32, start_level: u32, input: u64) -> Option<(u64, u64)> {
        let input_size = 64 - t0sz;
        assert!(input < 1 << input_size);
        let mut table = root.get();
        for level in start_level..=3 {
            let low = 12 + 9 * (3 - level);
            let high = if level == start_level { input_size - 1 } else { low + 8 };
            let index = (input >> low) & ((1 << (high - low + 1)) - 1);
            let descriptor = self.word(table + index * 8);
            let offset = input & ((1 << low) - 1);
            let output = descriptor & 0x0000_ffff_ffff_f000;
            match (descriptor & 3, level) {
                (0b11, 3) | (0b01, 1 | 2) => {
                    assert_eq!(output & ((1 << low) - 1), 0, "reserved address bits are zero");
                    return Some((descriptor, output | offset));
                }
                (0b11, 0..=2) => table = output,
                (0b00, _) => return None,
                _ => panic!("reserved descriptor {descriptor:#x} at level {level}"),
            }
        }
        None
    }
}

impl Tables for Memory {
    fn read(&self, table: Hpa, index: usize) -> u64 {
        self.reads.set(self.reads.get() + 1);
        self.blocks[&table.get()][index]
    }

    fn write(&mut self, table: Hpa, index: usize, entry: u64) {
        self.writes += 1;
        self.blocks.get_mut(&table.get()).expect("a table")[index] = entry;
    }

    fn allocate(&mut self, order: u8) -> Option<Hpa> {
        let pages = 1usize << order;
        if self.used + pages > self.limit {
            return None;
        }
        self.used += pages;
        let size = 4096u64 << order;
        let base = self.next.next_multiple_of(size);
        self.next = base + size;
        self.blocks.insert(base, std::vec![0; 512 << order]);
        Some(Hpa::new(base))
    }

    fn free(&mut self, table: Hpa, order: u8) {
        let words = self.blocks.remove(&table.get()).expect("freed once");
        assert_eq!(words.len(), 512 << order);
        self.used -= 1 << order;
    }

    fn invalidate(&mut self, virt: u64, len: u64) {
        self.invalidated.push((virt, len));
    }
}
