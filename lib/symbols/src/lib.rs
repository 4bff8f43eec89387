//! The table of function names that the image carries for its own backtraces: the build [encodes](encode) it, the
//! panic report [looks](find) functions up.
//!
//! All numbers are little-endian. Names are sorted and front-coded: of each one stands only what differs from the
//! one before, except for the first of each block of sixteen.
//!
//! | what | size |
//! |---|---|
//! | magic number `SYM2` | 32 bits |
//! | count of functions | 32 bits |
//! | count of names | 32 bits |
//! | each function's offset from the image's start, ascending | 32 bits each |
//! | each function's name, as a number | 16 bits each |
//! | where each block of names begins, counted from the first | 32 bits each |
//! | names: how many bytes are the last one's, how many follow, and these, UTF-8 | 8 bits, 8 bits, bytes |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// `SYM2` as a number, the first letter in the highest byte.
const MAGIC: u32 = 0x5359_4d32;
/// Names that are decoded one after the other, at most.
const BLOCK: usize = 16;
/// A longer name, in bytes, is cut by [`encode`].
pub const LONGEST_NAME: usize = 80;

/// Makes the table of functions, given by offset and name in ascending order of the offsets.
///
/// `None` when there are more names than the table can number (65 536).
pub fn encode(functions: &[(u32, String)]) -> Option<Vec<u8>> {
    let names: Vec<&str> = functions.iter().map(|(_, name)| cut(name)).collect();
    let sorted: Vec<&str> = BTreeSet::from_iter(names.iter().copied()).into_iter().collect();
    let mut table = Vec::new();
    for number in [MAGIC, u32::try_from(functions.len()).ok()?, u32::try_from(sorted.len()).ok()?] {
        table.extend(number.to_le_bytes());
    }
    for (offset, _) in functions {
        table.extend(offset.to_le_bytes());
    }
    for name in &names {
        let number = sorted.binary_search(name).ok()?;
        table.extend(u16::try_from(number).ok()?.to_le_bytes());
    }
    let (mut starts, mut text) = (Vec::new(), Vec::new());
    let mut before = "";
    for (number, name) in sorted.iter().enumerate() {
        if number % BLOCK == 0 {
            starts.extend(u32::try_from(text.len()).ok()?.to_le_bytes());
            before = "";
        }
        let shared = before.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let rest = name.as_bytes().get(shared..)?;
        // Names are cut to less than 256 bytes.
        text.extend([u8::try_from(shared).ok()?, u8::try_from(rest.len()).ok()?]);
        text.extend(rest);
        before = name;
    }
    table.extend(starts);
    table.extend(text);
    Some(table)
}

fn cut(name: &str) -> &str {
    let end = (0..=name.len().min(LONGEST_NAME)).rev().find(|&at| name.is_char_boundary(at));
    name.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// The function at or below `offset`: its name, which is put into `buffer`, and its own offset. `None` when there
/// is none, or the table is damaged.
pub fn find<'b>(table: &[u8], offset: u32, buffer: &'b mut [u8; LONGEST_NAME]) -> Option<(&'b str, u32)> {
    if word(table, 0)? != MAGIC {
        return None;
    }
    let count = word(table, 4)? as usize;
    let names = word(table, 8)? as usize;
    let offsets = 12usize;
    // The number of functions at or below the offset, by bisection.
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low.midpoint(high);
        if word(table, offsets.checked_add(middle.checked_mul(4)?)?)? <= offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let entry = low.checked_sub(1)?;
    let start = word(table, offsets + 4 * entry)?;
    let numbers = offsets.checked_add(count.checked_mul(4)?)?;
    let starts = numbers.checked_add(count.checked_mul(2)?)?;
    let text = starts.checked_add(names.div_ceil(BLOCK).checked_mul(4)?)?;
    let at = numbers + 2 * entry;
    let number = usize::from(u16::from_le_bytes(table.get(at..at + 2)?.try_into().ok()?));
    let mut rest = table.get(text.checked_add(word(table, starts + 4 * (number / BLOCK))? as usize)?..)?;
    let mut length = 0;
    for _ in 0..=number % BLOCK {
        let (&[shared, more], after) = rest.split_first_chunk::<2>()?;
        let (shared, more) = (usize::from(shared), usize::from(more));
        if shared > length {
            return None;
        }
        length = shared.checked_add(more)?;
        buffer.get_mut(shared..length)?.copy_from_slice(after.get(..more)?);
        rest = after.get(more..)?;
    }
    Some((core::str::from_utf8(buffer.get(..length)?).ok()?, start))
}

fn word(table: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(table.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    fn functions(count: u32) -> Vec<(u32, String)> {
        (0..count).map(|n| (16 * n, format!("room::part{}::does{}", n % 7, n / 3))).collect()
    }

    #[test]
    fn every_function_is_found_from_its_first_byte_to_the_next_one() {
        let functions = functions(300);
        let table = encode(&functions).unwrap();
        let mut buffer = [0; LONGEST_NAME];
        for (offset, name) in &functions {
            for into in [0, 1, 15] {
                assert_eq!(find(&table, offset + into, &mut buffer), Some((name.as_str(), *offset)));
            }
        }
    }

    #[test]
    fn nothing_lies_below_the_first_function() {
        let table = encode(&[(8, String::from("a"))]).unwrap();
        let mut buffer = [0; LONGEST_NAME];
        assert_eq!(find(&table, 7, &mut buffer), None);
        assert_eq!(find(&table, u32::MAX, &mut buffer), Some(("a", 8)));
        assert_eq!(find(&encode(&[]).unwrap(), 0, &mut buffer), None);
    }

    #[test]
    fn a_name_used_twice_is_stored_once_and_a_long_one_is_cut() {
        let long = "ä".repeat(100);
        let once = encode(&[(0, long.clone())]).unwrap();
        let twice = encode(&[(0, long.clone()), (4, long)]).unwrap();
        assert_eq!(twice.len(), once.len() + 6);
        let mut buffer = [0; LONGEST_NAME];
        assert_eq!(find(&twice, 4, &mut buffer), Some(("ä".repeat(40).as_str(), 4)));
    }

    #[test]
    fn a_damaged_table_is_no_more_than_useless() {
        let table = encode(&functions(40)).unwrap();
        let mut buffer = [0; LONGEST_NAME];
        assert_eq!(find(&[], 0, &mut buffer), None);
        for at in 0..table.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = table.clone();
                damaged[at] = value;
                let _ = find(&damaged, 333, &mut buffer);
                let _ = find(&damaged[..at], 333, &mut buffer);
            }
        }
    }
}
