//! Device trees, as the Devicetree Specification v0.4 describes them (chapters named below are its chapters).
//!
//! Two readers, one format:
//!
//! * [`Early`] walks a blob in place and allocates nothing: what must be known before there is a heap
//!   (memory, reserved ranges, `/chosen`, the console).
//! * [`Tree`] owns its nodes and can be edited: the hypervisor's own tree and every guest's tree are
//!   one of these. [`Tree::from_blob`] reads, [`Tree::to_blob`] writes, [`Tree::print`] shows.
//!
//! Between the two, [`Patch`] copies a blob with changes, also without allocating.
//!
//! A [`Node`] of a tree gives typed views of its properties (`node.u32("clock-frequency")?`,
//! `node.reg()?`, `node.interrupts()?`). A mistake in a tree is an [`Error`] that names node and property.
//!
//! A blob may hold anything: no input panics, and what is kept of it is bounded
//! ([`MAX_DEPTH`], [`MAX_SIZE`]).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
mod blob;
mod chosen;
mod early;
mod edit;
mod error;
mod interrupts;
mod node;
mod patch;
mod print;
mod property;
mod read;
mod tree;
mod write;

#[cfg(test)]
mod tests;

pub use address::{Range, Region};
pub use blob::{HEADER_SIZE, MAX_DEPTH, MAX_SIZE, Malformed, total_size};
pub use chosen::Stdout;
pub use early::{Chosen, Console, Early, EarlyNode};
pub use error::{Error, Problem};
pub use interrupts::Reference;
pub use node::{Children, Descendants, Node, Properties};
pub use patch::{Patch, PatchError};
pub use property::{Cells, Property, Value};
pub use tree::{NodeId, Tree};
