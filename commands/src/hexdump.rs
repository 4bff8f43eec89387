//! Memory as rows of hexadecimal numbers.

use core::fmt;

use arch::Width;

/// Prints `bytes`, of which the first is at `address`, 16 in a row, as little-endian numbers of `width`.
pub(crate) fn print(out: &mut dyn fmt::Write, address: u64, bytes: &[u8], width: Width) -> fmt::Result {
    let size = usize::try_from(width.bytes()).unwrap_or(1);
    for (row, offset) in bytes.chunks(16).zip((0..).step_by(16)) {
        write!(out, "{:016x}:", address.wrapping_add(offset))?;
        for number in row.chunks(size) {
            out.write_char(' ')?;
            for byte in number.iter().rev() {
                write!(out, "{byte:02x}")?;
            }
        }
        out.write_char('\n')?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::string::String;

    use arch::Width;

    use super::print;

    #[test]
    fn numbers_are_little_endian_and_a_short_row_ends_early() {
        let bytes: std::vec::Vec<u8> = (0..20).collect();
        let mut text = String::new();
        print(&mut text, 0x1000, &bytes, Width::B4).unwrap();
        assert_eq!(
            text,
            "0000000000001000: 03020100 07060504 0b0a0908 0f0e0d0c\n0000000000001010: 13121110\n"
        );
    }
}
