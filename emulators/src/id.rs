//! The identification registers of PrimeCells: eight words with a byte each at the end of the frame.

/// The word at `offset` from the first of them; zero where none is.
pub(crate) fn byte(id: &[u8; 8], offset: u64) -> u32 {
    let index = usize::try_from(offset / 4).unwrap_or(usize::MAX);
    id.get(index).copied().unwrap_or(0).into()
}
