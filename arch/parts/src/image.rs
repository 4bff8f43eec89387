//! Where the parts of our own image lie: what the linker script of each architecture defines alike.

unsafe extern "C" {
    static __image_start: u8;
    static __image_end: u8;
    static __text_end: u8;
    static __rodata_end: u8;
    static __boot_stack_guard: u8;
    static __symbols_info: [u32; 2];
}

/// The image's first byte and one past its zeroed data.
pub fn bounds() -> (usize, usize) {
    ((&raw const __image_start) as usize, (&raw const __image_end) as usize)
}

/// One past the code, and one past the constants behind it.
pub fn parts() -> (usize, usize) {
    ((&raw const __text_end) as usize, (&raw const __rodata_end) as usize)
}

/// The page below the boot stack, which is never mapped.
pub fn guard() -> usize {
    (&raw const __boot_stack_guard) as usize
}

/// Offset from the image's start, and length, of the symbol table that the build appended.
fn symbols_place() -> (usize, usize) {
    // SAFETY: the linker script defines it, in the data section; nobody writes it.
    let [offset, length] = unsafe { core::ptr::read_volatile(&raw const __symbols_info) };
    (offset as usize, length as usize)
}

/// One past everything that the image occupies.
pub fn limit() -> usize {
    let (start, end) = bounds();
    let (offset, length) = symbols_place();
    if length == 0 { end } else { start + offset + length }
}

/// The symbol table that the build appended; empty when there is none.
pub fn symbols() -> &'static [u8] {
    let (offset, length) = symbols_place();
    let (start, _) = bounds();
    // SAFETY: start-up moved `length` bytes there, which the build counted in the header's image size; they are
    // mapped as constants and not written any more.
    unsafe { core::slice::from_raw_parts((start + offset) as *const u8, length) }
}
