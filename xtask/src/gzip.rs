//! The gzip container (RFC 1952) around `miniz_oxide`'s deflate.

use anyhow::{Context as _, Result, bail, ensure};

/// Whether `bytes` begin as a gzip file does.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b, 8])
}

/// Packs `bytes`; the same input always gives the same output (no time, no name).
pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    out.extend(miniz_oxide::deflate::compress_to_vec(bytes, 9));
    out.extend(crc32(bytes).to_le_bytes());
    // The length modulo 2^32, as the RFC has it.
    out.extend(((bytes.len() & 0xffff_ffff) as u32).to_le_bytes());
    out
}

/// Unpacks one gzip member; an error if it is damaged.
pub(crate) fn unpack(bytes: &[u8]) -> Result<Vec<u8>> {
    ensure!(is_gzip(bytes), "this is not a gzip file");
    let flags = bytes.get(3).copied().unwrap_or(0);
    let mut at = 10;
    if flags & 4 != 0 {
        let length = bytes.get(at..at + 2).context("the gzip header is cut off")?;
        at += 2 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    }
    for flag in [8, 16] {
        if flags & flag != 0 {
            let rest = bytes.get(at..).context("the gzip header is cut off")?;
            at += 1 + rest.iter().position(|&byte| byte == 0).context("the gzip header is cut off")?;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    let body = bytes.get(at..).context("the gzip header is cut off")?;
    match miniz_oxide::inflate::decompress_to_vec(body) {
        Ok(plain) => Ok(plain),
        Err(error) => bail!("the gzip data is damaged: {:?}", error.status),
    }
}

/// CRC-32 as gzip has it (reflected polynomial 0xedb88320), a bit at a time: a few MB at most.
fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256u32)
        .map(|index| (0..8).fold(index, |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())))
        .collect();
    !bytes.iter().fold(!0, |crc, &byte| (crc >> 8) ^ table[((crc ^ u32::from(byte)) & 0xff) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_unpacks_to_itself() {
        let plain: Vec<u8> = (0..100_000u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        assert_eq!(unpack(&pack(&plain)).unwrap(), plain);
    }

    #[test]
    fn the_crc_is_the_standard_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn damage_is_an_error() {
        let packed = pack(b"hello hello hello hello");
        assert!(unpack(&packed[..12]).is_err());
        assert!(unpack(b"hello").is_err());
        assert!(unpack(&packed[..5]).is_err());
    }
}
