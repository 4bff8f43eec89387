//! Bytes that stay where they are.

use core::fmt;
use core::ops::{Deref, Range};

use alloc::vec::Vec;
use atomic::Arc;

/// A range of bytes that nobody changes or frees while this lives: of the machine's memory (the initrd),
/// or of a buffer that all its ranges share. Cloning copies nothing.
#[derive(Clone)]
pub struct Bytes {
    whole: Whole,
    range: Range<usize>,
}

#[derive(Clone)]
enum Whole {
    Static(&'static [u8]),
    Shared(Arc<Vec<u8>>),
}

impl Whole {
    fn get(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl Bytes {
    /// A part, by its place in these bytes; empty when it does not lie inside.
    pub fn slice(&self, range: Range<usize>) -> Self {
        let inside = range.start <= range.end && range.end <= self.range.len();
        let range = if inside { self.range.start + range.start..self.range.start + range.end } else { 0..0 };
        Self { whole: self.whole.clone(), range }
    }
}

impl From<&'static [u8]> for Bytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self { whole: Whole::Static(bytes), range: 0..bytes.len() }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        let range = 0..bytes.len();
        Self { whole: Whole::Shared(Arc::new(bytes)), range }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.whole.get().get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
