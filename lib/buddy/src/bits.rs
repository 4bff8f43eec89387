//! Sets of small numbers: a bitmap, with a bit per word in the level above, up to a single word.

use core::ops::Range;

/// 64^6 frames are more than any address has room for.
const LEVELS: usize = 6;

/// Where such a set lies in the bytes that hold its words. All methods are given those bytes.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    /// The first word of each level, from the set itself to its last summary.
    levels: [usize; LEVELS],
    count: usize,
    /// Numbers below this can be in the set.
    end: usize,
    words: usize,
}

impl Bits {
    pub(crate) const EMPTY: Bits = Bits { levels: [0; LEVELS], count: 0, end: 0, words: 0 };

    /// A set of numbers below `end`, at the word `first`.
    pub(crate) const fn new(first: usize, end: usize) -> Bits {
        let mut bits = Bits { end, ..Bits::EMPTY };
        let mut size = end;
        while size > 0 && bits.count < LEVELS {
            bits.levels[bits.count] = first + bits.words;
            bits.count += 1;
            let words = size.div_ceil(64);
            bits.words += words;
            size = if words == 1 { 0 } else { words };
        }
        bits
    }

    /// Words of all levels.
    pub(crate) const fn words(&self) -> usize {
        self.words
    }

    pub(crate) fn get(&self, meta: &[u8], number: usize) -> bool {
        number < self.end && load(meta, self.levels[0] + number / 64) >> (number % 64) & 1 != 0
    }

    pub(crate) fn set(&self, meta: &mut [u8], number: usize) {
        let mut number = number;
        for first in &self.levels[..self.count] {
            let old = load(meta, first + number / 64);
            store(meta, first + number / 64, old | 1 << (number % 64));
            if old != 0 {
                break;
            }
            number /= 64;
        }
    }

    pub(crate) fn clear(&self, meta: &mut [u8], number: usize) {
        let mut number = number;
        for first in &self.levels[..self.count] {
            let new = load(meta, first + number / 64) & !(1 << (number % 64));
            store(meta, first + number / 64, new);
            if new != 0 {
                break;
            }
            number /= 64;
        }
    }

    /// The lowest number in the set.
    pub(crate) fn first(&self, meta: &[u8]) -> Option<usize> {
        self.descend(meta, 0, self.count)
    }

    /// Whether a number of this range is in the set.
    pub(crate) fn any(&self, meta: &[u8], range: Range<usize>) -> bool {
        self.at_or_after(meta, range.start).is_some_and(|number| number < range.end)
    }

    fn at_or_after(&self, meta: &[u8], number: usize) -> Option<usize> {
        if number >= self.end {
            return None;
        }
        // Up, until a word has a bit at or after; then down to the lowest below that bit.
        let mut at = number;
        for level in 0..self.count {
            let word = load(meta, self.levels[level] + at / 64) & u64::MAX.checked_shl((at % 64) as u32)?;
            if word != 0 {
                let bit = at / 64 * 64 + word.trailing_zeros() as usize;
                return self.descend(meta, bit, level);
            }
            // The next word, which is the next bit of the level above; it may lie behind the last one.
            at = at / 64 + 1;
            if at.div_ceil(64) > self.words_of(level + 1) {
                return None;
            }
        }
        None
    }

    fn words_of(&self, level: usize) -> usize {
        match self.levels.get(level..self.count) {
            Some([first, next, ..]) => next - first,
            Some([first]) => self.levels[0] + self.words - first,
            _ => 0,
        }
    }

    /// The lowest number below the word `at` of `level`.
    fn descend(&self, meta: &[u8], mut at: usize, level: usize) -> Option<usize> {
        for first in self.levels[..level].iter().rev() {
            let word = load(meta, first + at);
            if word == 0 {
                return None;
            }
            at = at * 64 + word.trailing_zeros() as usize;
        }
        (level > 0 || self.count > 0).then_some(at)
    }
}

fn load(meta: &[u8], word: usize) -> u64 {
    let bytes = meta.get(word * 8..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
}

fn store(meta: &mut [u8], word: usize, value: u64) {
    if let Some(bytes) = meta.get_mut(word * 8..).and_then(|bytes| bytes.first_chunk_mut()) {
        *bytes = value.to_ne_bytes();
    }
}
