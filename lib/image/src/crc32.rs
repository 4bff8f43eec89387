//! The checksum of gzip (RFC 1952, 8): CRC-32 of ISO 3309, eight bytes at a time.

/// `TABLES[k][b]` is what the byte `b` contributes when `k` more bytes follow it.
static TABLES: [[u32; 256]; 8] = tables();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut follow = 1;
    while follow < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[follow - 1][byte];
            tables[follow][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        follow += 1;
    }
    tables
}

/// The checksum of what had the checksum `crc`, and `bytes` behind it. Begin with 0.
#[expect(clippy::indexing_slicing, reason = "a byte is always an index of a table of 256")]
pub(crate) fn update(crc: u32, bytes: &[u8]) -> u32 {
    let at = |follow: usize, byte: u8| TABLES[follow][usize::from(byte)];
    let mut crc = !crc;
    let (chunks, rest) = bytes.as_chunks::<8>();
    for &[a, b, c, d, e, f, g, h] in chunks {
        let [i, j, k, l] = crc.to_le_bytes();
        crc = at(7, a ^ i)
            ^ at(6, b ^ j)
            ^ at(5, c ^ k)
            ^ at(4, d ^ l)
            ^ at(3, e)
            ^ at(2, f)
            ^ at(1, g)
            ^ at(0, h);
    }
    for &byte in rest {
        let [low, ..] = crc.to_le_bytes();
        crc = crc >> 8 ^ at(0, low ^ byte);
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn known_sums_come_out() {
        assert_eq!(update(0, b""), 0);
        assert_eq!(update(0, b"123456789"), 0xcbf4_3926);
        assert_eq!(update(0, b"The quick brown fox jumps over the lazy dog"), 0x414f_a339);
    }

    #[test]
    fn pieces_sum_as_the_whole() {
        let text = b"The quick brown fox jumps over the lazy dog";
        for cut in 0..text.len() {
            let (before, behind) = text.split_at(cut);
            assert_eq!(update(update(0, before), behind), update(0, text));
        }
    }
}
