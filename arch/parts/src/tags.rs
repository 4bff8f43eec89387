//! The numbers (VMIDs) that tell the cached translations of guests apart.
//!
//! A guest's memory map has one for as long as it lives. So no CPU ever holds an old one, and no
//! generation of them has to be waited for.

use core::sync::atomic::{AtomicU64, Ordering};

/// Which of `WORDS` × 64 numbers are taken. Number 0 belongs to nobody.
#[derive(Debug)]
pub struct Tags<const WORDS: usize>([AtomicU64; WORDS]);

impl<const WORDS: usize> Tags<WORDS> {
    /// All are free, but 0.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; WORDS])
    }

    /// Takes a number below `limit` that nobody has.
    pub fn take(&self, limit: u64) -> Option<u64> {
        for (word, taken) in (0u64..).zip(&self.0) {
            let never = u64::from(word == 0);
            let free = limit.saturating_sub(word * 64);
            let beyond = if free >= 64 { 0 } else { u64::MAX << free };
            let update = |taken: u64| {
                let full = taken | never | beyond;
                (full != u64::MAX).then(|| taken | 1 << full.trailing_ones())
            };
            if let Ok(before) = taken.fetch_update(Ordering::AcqRel, Ordering::Relaxed, update) {
                return Some(word * 64 + u64::from((before | never | beyond).trailing_ones()));
            }
        }
        None
    }

    /// Gives a number back that no CPU remembers anything of.
    pub fn give(&self, tag: u64) {
        if let Some(word) = self.0.get(tag as usize / 64) {
            word.fetch_and(!(1 << (tag % 64)), Ordering::AcqRel);
        }
    }
}

impl<const WORDS: usize> Default for Tags<WORDS> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_given_once_until_it_comes_back() {
        let tags = Tags::<2>::new();
        let all: std::vec::Vec<u64> = core::iter::from_fn(|| tags.take(100)).collect();
        assert_eq!(all, (1..100).collect::<std::vec::Vec<u64>>());
        tags.give(70);
        tags.give(3);
        assert_eq!((tags.take(100), tags.take(100), tags.take(100)), (Some(3), Some(70), None));
    }

    #[test]
    fn a_processor_with_few_numbers_gets_few() {
        let tags = Tags::<4>::new();
        assert_eq!(tags.take(1), None);
        assert_eq!((tags.take(2), tags.take(2)), (Some(1), None));
        assert_eq!(tags.take(u64::MAX), Some(2));
    }
}
