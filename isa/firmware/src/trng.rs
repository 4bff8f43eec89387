//! The Arm True Random Number Generator firmware interface (DEN0098, version 1.0).
use crate::smccc;

/// TRNG_VERSION.
pub const VERSION: u32 = 0x8400_0050;
/// TRNG_FEATURES: W1 is the function asked about.
pub const FEATURES: u32 = 0x8400_0051;
/// TRNG_GET_UUID.
pub const GET_UUID: u32 = 0x8400_0052;
/// TRNG_RND, 32-bit call: W1 is the number of bits wanted, up to [`MAX_BITS_32`].
pub const RND_32: u32 = 0x8400_0053;
/// TRNG_RND, 64-bit call: X1 is the number of bits wanted, up to [`MAX_BITS_64`].
pub const RND_64: u32 = 0xc400_0053;

/// Version 1.0.
pub const VERSION_1_0: u32 = smccc::version(1, 0);
/// The most bits that one 32-bit call returns: three registers.
pub const MAX_BITS_32: u64 = 96;
/// The most bits that one 64-bit call returns: three registers.
pub const MAX_BITS_64: u64 = 192;

/// What a function returns if it fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// There is no such function.
    NotSupported = -1,
    /// An argument is wrong: no bits, or too many.
    InvalidParameters = -2,
    /// Not enough entropy now.
    NoEntropy = -3,
}

impl Status {
    /// X0 that returns it.
    #[inline]
    pub const fn register(self) -> u64 {
        smccc::status(self as i32)
    }
}

/// Whether a call may ask for so many bits.
pub const fn is_valid_request(bits: u64, is_64bit: bool) -> bool {
    bits != 0 && bits <= if is_64bit { MAX_BITS_64 } else { MAX_BITS_32 }
}

/// X0 to X3 that return the low `bits` bits of `entropy`, its least significant word first, for a call of either width.
///
/// The bits are right-aligned over the registers, the least significant in the last, X3; the bits above are zero. Asks
/// [`is_valid_request`] first.
pub const fn rnd_registers(entropy: [u64; 3], bits: u64, is_64bit: bool) -> Result<[u64; 4], Status> {
    if !is_valid_request(bits, is_64bit) {
        return Err(Status::InvalidParameters);
    }
    let width = if is_64bit { 64 } else { 32 };
    let [low, middle, high] = entropy;
    Ok([0, word(high, bits, 2, width), word(middle, bits, 1, width), word(low, bits, 0, width)])
}

/// What register `index`, counted from the least significant, keeps of `value`.
const fn word(value: u64, bits: u64, index: u64, width: u64) -> u64 {
    let mut left = bits.saturating_sub(index * width);
    if left > width {
        left = width;
    }
    match left {
        0 => 0,
        64 => value,
        n => value & ((1 << n) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONES: [u64; 3] = [u64::MAX; 3];

    #[test]
    fn no_more_bits_are_returned_than_were_asked_for() {
        assert_eq!(rnd_registers(ONES, 1, true), Ok([0, 0, 0, 1]));
        assert_eq!(rnd_registers(ONES, 64, true), Ok([0, 0, 0, u64::MAX]));
        assert_eq!(rnd_registers(ONES, 68, true), Ok([0, 0, 0xf, u64::MAX]));
        assert_eq!(rnd_registers(ONES, 192, true), Ok([0, u64::MAX, u64::MAX, u64::MAX]));
        assert_eq!(rnd_registers(ONES, 36, false), Ok([0, 0, 0xf, 0xffff_ffff]));
        assert_eq!(rnd_registers(ONES, 96, false), Ok([0, 0xffff_ffff, 0xffff_ffff, 0xffff_ffff]));
        for bits in 1..=192 {
            let ones: u32 = rnd_registers(ONES, bits, true).unwrap().map(u64::count_ones).iter().sum();
            assert_eq!(u64::from(ones), bits);
        }
    }

    #[test]
    fn requests_for_nothing_or_too_much_are_refused() {
        for (bits, wide) in [(0, true), (0, false), (97, false), (193, true), (u64::MAX, true)] {
            assert_eq!(rnd_registers(ONES, bits, wide), Err(Status::InvalidParameters));
        }
    }
}
