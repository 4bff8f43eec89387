//! Parts that bare-metal architectures are made of: what would be the same in each of them, with the
//! few instructions that differ handed in.
//!
//! | module | subject |
//! |---|---|
//! | `own` | our own address space: memory at its physical address, guarded stacks, mapped registers |
//! | [`blocks`] | the private blocks of all processors |
//! | [`console`] | the early console: one UART, polled |
//! | [`guest_map`] | a guest's memory map, and its VMID |
//! | `image` | where the parts of our own image lie |
//! | [`scale`] | from a counter's ticks to nanoseconds and back |
//! | [`tags`] | the numbers (VMIDs) that tell guests' translations apart |
#![no_std]
#![expect(unsafe_code, reason = "parts of the privileged layer: page tables, registers of the early console")]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod blocks;
pub mod console;
pub mod guest_map;
#[cfg(target_os = "none")]
pub mod image;
#[cfg(target_os = "none")]
pub mod own;
pub mod scale;
pub mod tags;

/// A walker's complaint in the contract's words.
pub const fn told(error: isa_paging::MapError) -> arch_api::MapError {
    match error {
        isa_paging::MapError::AlreadyMapped(_) => arch_api::MapError::AlreadyMapped,
        isa_paging::MapError::Misaligned => arch_api::MapError::Misaligned,
        isa_paging::MapError::OutOfRange => arch_api::MapError::OutOfRange,
        isa_paging::MapError::OutOfTables => arch_api::MapError::NoMemory,
    }
}
