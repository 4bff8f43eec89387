//! Thirty-two of something, one for each bit of a word.

/// One value per interrupt of a block.
#[derive(Clone, Copy)]
pub(super) struct Lanes<T>([T; 32]);

impl<T: Copy> Lanes<T> {
    /// All alike.
    pub(super) fn new(value: T) -> Self {
        Self([value; 32])
    }
    /// The value of interrupt `bit`; numbers beyond 31 start again at 0.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the length")]
    pub(super) fn at(&self, bit: u32) -> &T {
        &self.0[(bit & 31) as usize]
    }
    /// The same, to be changed.
    #[inline]
    #[expect(clippy::indexing_slicing, reason = "the index is masked to the length")]
    pub(super) fn at_mut(&mut self, bit: u32) -> &mut T {
        &mut self.0[(bit & 31) as usize]
    }
}

/// The numbers of the bits that are set, the lowest first.
#[inline]
pub(super) fn bits(mut mask: u32) -> impl Iterator<Item = u32> {
    core::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let bit = mask.trailing_zeros();
        mask &= mask - 1;
        Some(bit)
    })
}
