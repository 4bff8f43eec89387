//! This machine's memory: who owns which frame.
//!
//! * [`init`] builds the frame allocator over all banks of RAM, with its books inside RAM, and starts our
//!   own address space.
//! * Frames are owned values of two kinds which never convert without zeroing: [`Frames`] are ours and
//!   are borrowed as bytes; [`UntypedFrames`] are a guest's or a device's, and are touched by copies
//!   alone. No Rust reference to untyped memory exists.
//! * The heap takes frames as it grows ([`heap_stats`]); threads have a [`Stack`] each, with an
//!   unmapped page below.
//! * [`GuestRam`] is what a guest sees: [`Backing`]s and where they are mapped in its space.
//! * A [`Claim`] is the exclusive right to addresses that are not RAM; [`peek`] looks at either for the
//!   management terminal.
//!
//! Safety rests on the allocator handing out a frame once. Its arithmetic is `lib/buddy`, which is safe
//! code, keeps book of what it handed out and refuses to take anything else back.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod backing;
mod claim;
mod error;
mod frames;
#[cfg_attr(
    not(any(target_os = "none", test)),
    allow(dead_code, reason = "the development machine has a heap of its own")
)]
mod heap;
mod mailbox;
mod mapping;
mod owned;
pub mod peek;
mod probe;
mod ram;
mod stack;
mod start;
mod table;

pub use backing::Backing;
pub use claim::{Claim, Resource, resources};
pub use error::{AddError, ClaimError, InitError, NoMemory, OutOfBounds};
pub use frames::{BankStats, Stats, free_frames, is_ram, stats, tables};
pub use heap::{HeapStats, heap_stats};
pub use mailbox::store_for_waiting_cpu;
pub use mapping::Mapping;
pub use owned::{Frames, UntypedFrames};
pub use probe::Probe;
pub use ram::GuestRam;
pub use stack::Stack;
pub use start::{Layout, boot_image, init, release};
pub use table::Region;
