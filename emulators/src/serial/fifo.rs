//! A FIFO as UARTs have it.

/// Up to `N` bytes, the oldest first.
pub(crate) struct Fifo<const N: usize> {
    bytes: [u8; N],
    first: usize,
    length: usize,
}

impl<const N: usize> Fifo<N> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], first: 0, length: 0 }
    }
    pub(crate) fn len(&self) -> usize {
        self.length
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.length == 0
    }
    /// Adds a byte; it is lost when there is no room.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.length < N
            && let Some(place) = self.bytes.get_mut((self.first + self.length) % N)
        {
            *place = byte;
            self.length += 1;
        }
    }
    pub(crate) fn peek(&self) -> Option<u8> {
        if self.length == 0 { None } else { self.bytes.get(self.first).copied() }
    }
    pub(crate) fn pop(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.first = (self.first + 1) % N;
        self.length -= 1;
        Some(byte)
    }
}
