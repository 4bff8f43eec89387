//! Numbers that look random and are the same each time (xorshift*).

/// Where the sequence stands.
pub(crate) struct Random(u64);

impl Random {
    /// Begins at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed | 1)
    }

    /// 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `limit`, which is not 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// One of these.
    pub(crate) fn of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len() as u64) as usize]
    }

    /// A number as a wrong program would have it: small, all ones, near a power of two, or anything.
    pub(crate) fn number(&mut self) -> u64 {
        match self.below(5) {
            0 => self.below(16),
            1 => !self.below(16),
            2 => (1 << self.below(64)) - self.below(3) % 2,
            3 => self.next() & 0xffff_ffff,
            _ => self.next(),
        }
    }
}
