//! What is loaded: the headers of kernels, gzip, and cpio archives.
//!
//! * [`Kind::detect`] tells what some bytes are by their first few.
//! * [`linux::Image`] reads the header of an arm64 Linux kernel, [`linux::Zboot`] unwraps one that can
//!   only be started by UEFI.
//! * [`gzip::inflate`] decompresses into whatever takes the pieces.
//! * [`cpio::entries`] lists an archive.
//!
//! The bytes may be anything: each reader checks, refuses with a reason, and never panics.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod cpio;
mod crc32;
pub mod gzip;
mod kind;
pub mod linux;
#[cfg(test)]
mod mutate;

pub use kind::Kind;

/// The `N` bytes at `offset`.
fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// The little-endian number of 32 bits at `offset`.
fn le32(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes_at(bytes, offset).map(u32::from_le_bytes)
}
