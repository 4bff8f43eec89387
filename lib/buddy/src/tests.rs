//! Against a naive model: one mark per frame.

use std::vec;
use std::vec::Vec;

use crate::{BadFree, Buddy, MAX_ORDER, Unavailable};

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    }
}

fn meta(frames: usize) -> Vec<u8> {
    vec![0; Buddy::metadata_bytes(frames)]
}

#[test]
fn the_books_are_small() {
    assert!(Buddy::metadata_bytes(1 << 18) <= (1 << 18) * 6 / 10);
    assert_eq!(Buddy::metadata_bytes(0), 0);
    let _ = Buddy::metadata_bytes(1 << 40);
}

#[test]
fn too_few_bytes_are_books_over_nothing() {
    let mut meta = meta(100);
    meta.pop();
    let mut buddy = Buddy::new(&mut meta, 100);
    assert_eq!((buddy.total_frames(), buddy.allocate(0)), (0, None));
    assert_eq!(buddy.insert(0..1), Err(Unavailable));
}

#[test]
fn blocks_split_and_merge() {
    let mut meta = meta(1 << 18);
    let mut buddy = Buddy::new(&mut meta, 1 << 18);
    buddy.insert(0..1 << 18).unwrap();
    assert_eq!(buddy.largest_free_order(), Some(18));
    assert_eq!(buddy.allocate(0), Some(0));
    assert_eq!(buddy.largest_free_order(), Some(17));
    assert_eq!(buddy.allocate(9), Some(512));
    assert_eq!(buddy.allocate(0), Some(1));
    assert_eq!(buddy.free_frames(), (1 << 18) - 514);
    buddy.free(0, 0).unwrap();
    buddy.free(512, 9).unwrap();
    buddy.free(1, 0).unwrap();
    assert_eq!(buddy.allocate(MAX_ORDER), Some(0));
    assert_eq!((buddy.allocate(0), buddy.allocate(MAX_ORDER + 1)), (None, None));
    assert_eq!(buddy.largest_free_order(), None);
}

#[test]
fn what_is_freed_wrongly_is_refused() {
    let mut meta = meta(1000);
    let mut buddy = Buddy::new(&mut meta, 1000);
    buddy.insert(0..1000).unwrap();
    assert_eq!(buddy.allocate(3), Some(992));
    let block = buddy.allocate(3).unwrap();
    assert_eq!(buddy.free(block, 2), Err(BadFree::WrongOrder(3)));
    assert_eq!(buddy.free(block, 4), Err(BadFree::WrongOrder(3)));
    assert_eq!(buddy.free(block + 1, 3), Err(BadFree::Misplaced));
    assert_eq!(buddy.free(block + 1, 0), Err(BadFree::NotAllocated));
    assert_eq!(buddy.free(1000, 0), Err(BadFree::Misplaced));
    assert_eq!(buddy.free(usize::MAX, 0), Err(BadFree::Misplaced));
    assert_eq!(buddy.free(0, 64), Err(BadFree::Misplaced));
    assert_eq!(buddy.free(block, 3), Ok(()));
    assert_eq!(buddy.free(block, 3), Err(BadFree::NotAllocated));
    assert_eq!(buddy.free_frames(), 992);
}

#[test]
fn frames_are_inserted_once() {
    let mut meta = meta(5000);
    let mut buddy = Buddy::new(&mut meta, 5000);
    buddy.insert(100..200).unwrap();
    for range in [100..101, 0..101, 199..5000, 0..5000, 150..151, 4999..5001] {
        assert_eq!(buddy.insert(range), Err(Unavailable));
    }
    buddy.allocate_range(100..200).unwrap();
    assert_eq!(buddy.insert(0..5000), Err(Unavailable));
    buddy.insert(0..100).unwrap();
    buddy.insert(200..5000).unwrap();
    assert_eq!(buddy.free_frames(), 4900);
    buddy.free_range(100..200).unwrap();
    assert_eq!(buddy.free_frames(), 5000);
    assert_eq!(buddy.free_range(100..200), Err(BadFree::NotAllocated));
    assert_eq!(buddy.free_range(4999..5001), Err(BadFree::Misplaced));
    assert_eq!(buddy.allocate_range(4999..5001), Err(Unavailable));
    assert_eq!(buddy.allocate(12), Some(0));
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    Unknown,
    Free,
    Taken,
}

/// What the books must say of themselves, whatever happened.
fn check(buddy: &Buddy<'_>, model: &[Mark]) {
    assert_eq!(buddy.free_frames(), model.iter().filter(|&&mark| mark == Mark::Free).count());
    let blocks: usize = (0..=MAX_ORDER).map(|order| buddy.free_blocks(order) << order).sum();
    assert_eq!(blocks, buddy.free_frames());
    let largest = (0..=MAX_ORDER).rev().find(|&order| {
        model.chunks_exact(1 << order).any(|block| block.iter().all(|&mark| mark == Mark::Free))
    });
    assert_eq!(buddy.largest_free_order(), largest, "free buddies are merged");
}

#[test]
fn a_naive_model_agrees() {
    let mut random = Random(0x5eed);
    for frames in [1, 63, 64, 65, 700, 4096, 5001, 70_000] {
        let mut meta = meta(frames);
        let mut buddy = Buddy::new(&mut meta, frames);
        let mut model = vec![Mark::Unknown; frames];
        let mut blocks: Vec<(usize, usize)> = Vec::new();
        let mut ranges = Vec::new();
        for step in 0..3000 {
            match random.below(8) {
                0..=2 => {
                    let order = random.below(8).min(random.below(12));
                    let possible = model
                        .chunks_exact(1 << order)
                        .any(|block| block.iter().all(|&mark| mark == Mark::Free));
                    let found = buddy.allocate(order);
                    assert_eq!(found.is_some(), possible);
                    let Some(index) = found else { continue };
                    assert_eq!(index % (1 << order), 0);
                    for mark in &mut model[index..index + (1 << order)] {
                        assert_eq!(core::mem::replace(mark, Mark::Taken), Mark::Free);
                    }
                    blocks.push((index, order));
                }
                3..=5 if !blocks.is_empty() => {
                    let (index, order) = blocks.swap_remove(random.below(blocks.len()));
                    assert_eq!(buddy.free(index, order), Ok(()));
                    assert!(buddy.free(index, order).is_err());
                    model[index..index + (1 << order)].fill(Mark::Free);
                }
                6 => {
                    let start = random.below(frames);
                    let end = frames.min(start + random.below(300));
                    let all = |wanted| model[start..end].iter().all(|&mark| mark == wanted);
                    if random.below(2) == 0 {
                        assert_eq!(buddy.insert(start..end).is_ok(), all(Mark::Unknown));
                        if all(Mark::Unknown) {
                            model[start..end].fill(Mark::Free);
                        }
                    } else {
                        assert_eq!(buddy.allocate_range(start..end).is_ok(), all(Mark::Free));
                        if all(Mark::Free) && start < end {
                            model[start..end].fill(Mark::Taken);
                            ranges.push(start..end);
                        }
                    }
                }
                7 if !ranges.is_empty() => {
                    let range = ranges.swap_remove(random.below(ranges.len()));
                    assert_eq!(buddy.free_range(range.clone()), Ok(()));
                    model[range].fill(Mark::Free);
                }
                _ => {}
            }
            if step % 64 == 0 {
                check(&buddy, &model);
            }
        }
        check(&buddy, &model);
    }
}
