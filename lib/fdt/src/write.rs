//! From a tree to a blob.

use alloc::vec::Vec;

use crate::blob::{BEGIN_NODE, END, END_NODE, HEADER_SIZE, LAST_COMPATIBLE_VERSION, MAGIC, PROP, VERSION};
use crate::{Node, Tree};

impl Tree {
    /// The tree as a blob of version 17, without gaps: the header, `/memreserve/`, structure, strings.
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = alloc::vec![0; HEADER_SIZE];
        let reservations = blob.len();
        for region in &self.reservations {
            blob.extend_from_slice(&region.start.to_be_bytes());
            blob.extend_from_slice(&region.size.to_be_bytes());
        }
        blob.extend_from_slice(&[0; 16]);
        let structure = blob.len();
        write_node(&mut blob, self.root());
        word(&mut blob, END);
        let strings = blob.len();
        blob.extend_from_slice(self.strings.as_bytes());
        let header = [
            u64::from(MAGIC),
            blob.len() as u64,
            structure as u64,
            strings as u64,
            reservations as u64,
            u64::from(VERSION),
            u64::from(LAST_COMPATIBLE_VERSION),
            u64::from(self.boot_cpu),
            self.strings.len() as u64,
            (strings - structure) as u64,
        ];
        for (field, value) in blob.chunks_exact_mut(4).zip(header) {
            field.copy_from_slice(&size(value).to_be_bytes());
        }
        blob
    }
}

/// Sizes have 32 bits in a blob. A larger tree could not have been made: what is read is bounded, and
/// each edit adds a little.
fn size(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn word(blob: &mut Vec<u8>, value: u32) {
    blob.extend_from_slice(&value.to_be_bytes());
}

fn align(blob: &mut Vec<u8>) {
    blob.resize(blob.len().next_multiple_of(4), 0);
}

/// Recursion is bounded: no tree is deeper than `MAX_DEPTH`.
fn write_node(blob: &mut Vec<u8>, node: Node<'_>) {
    word(blob, BEGIN_NODE);
    blob.extend_from_slice(node.name().as_bytes());
    blob.push(0);
    align(blob);
    for entry in node.entries() {
        word(blob, PROP);
        word(blob, size(entry.value.len() as u64));
        word(blob, entry.name);
        blob.extend_from_slice(&entry.value);
        align(blob);
    }
    for child in node.children() {
        write_node(blob, child);
    }
    word(blob, END_NODE);
}
