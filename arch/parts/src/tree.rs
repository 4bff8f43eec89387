//! The device tree that a boot loader left in memory.

/// Bytes that are looked at before the header told the size: its own (Devicetree Specification, 5.2), with
/// some more.
const HEADER: usize = 64;

/// The tree at `address`: as many bytes as its header tells. Nothing where there is none: at zero, at an address
/// that is not a multiple of 8, without the magic number, or longer than `most` bytes.
///
/// # Safety
/// Where `address` is a multiple of 8 and not zero, `most` bytes there are mapped, and nobody writes those of the
/// tree any more.
pub unsafe fn at(address: u64, most: usize) -> &'static [u8] {
    if address == 0 || !address.is_multiple_of(8) {
        return &[];
    }
    // SAFETY: the caller's promise.
    let header = unsafe { core::slice::from_raw_parts(address as *const u8, HEADER.min(most)) };
    match fdt::total_size(header) {
        // SAFETY: the caller's promise, with the size that the header tells.
        Ok(size) if size <= most => unsafe { core::slice::from_raw_parts(address as *const u8, size) },
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use alloc::boxed::Box;

    use super::*;

    /// A header that tells `size`, and zeroes, eight bytes apart.
    fn memory(magic: u32, size: u32) -> u64 {
        let words = Box::leak(Box::new([0u64; 64]));
        words[0] = u64::from_ne_bytes(((u64::from(magic) << 32) | u64::from(size)).to_be_bytes());
        words.as_ptr() as u64
    }

    #[test]
    fn a_tree_is_as_long_as_its_header_tells_and_a_bad_one_is_nothing() {
        // SAFETY: 512 bytes are there, and nobody writes them.
        let length = |address| unsafe { at(address, 512) }.len();
        let good = memory(0xd00d_feed, 200);
        assert_eq!(length(good), 200);
        assert_eq!((length(0), length(good + 4)), (0, 0));
        assert_eq!(length(memory(0xfeed_d00d, 200)), 0);
        assert_eq!(length(memory(0xd00d_feed, 513)), 0);
    }
}
