//! For tests: damaged copies of a file.

use std::vec::Vec;

/// Calls `test` with `count` copies of `file`, each damaged in one to four places or cut, always the same.
pub(crate) fn each(file: &[u8], count: usize, mut test: impl FnMut(&[u8])) {
    let mut state = 0x5eed_u64;
    let mut below = |end: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % end
    };
    for _ in 0..count {
        let mut bytes: Vec<u8> = file.to_vec();
        for _ in 0..=below(4) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] = below(256) as u8,
                1 => bytes[at] ^= 1 << below(8),
                2 => bytes[at] = b"0f7A\xff"[below(5)],
                3 => bytes[at..].iter_mut().take(4).for_each(|byte| *byte = 0xff),
                // Formats have most to say at their beginning.
                _ => bytes[at % 128.min(file.len())] = below(256) as u8,
            }
        }
        if below(8) == 0 {
            bytes.truncate(below(bytes.len()));
        }
        test(&bytes);
    }
}
