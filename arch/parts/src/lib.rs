//! Parts that bare-metal architectures are made of: what would be the same in each of them, with the
//! few instructions that differ handed in.
//!
//! | module | subject |
//! |---|---|
//! | `own` | our own address space: memory at its physical address, guarded stacks, mapped registers |
//! | `above` | what the binary defines: where the hypervisor begins, and where a crash ends |
//! | [`blocks`] | the private blocks of all processors |
//! | [`columns`] | registers in columns, for people |
//! | [`console`] | the early console: one UART, polled |
//! | [`guest_map`] | a guest's memory map, and its VMID |
//! | `image` | where the parts of our own image lie |
//! | [`own_code`] | what interrupts call, a stack for emergencies, the way back along frames |
//! | [`promises`] | what guests were told of the processors, and rely on |
//! | [`remembered`] | whose translations CPUs may remember, in debug builds |
//! | [`resident`] | whose registers are in a processor's hardware, and how a virtual CPU's come there and go |
//! | [`scale`] | from a counter's ticks to nanoseconds and back |
//! | [`stack`] | threads that do not run |
//! | [`tags`] | the numbers (VMIDs) that tell guests' translations apart |
//! | [`ties`] | what ties a virtual CPU to what is above it |
//! | [`tree`] | the device tree that a boot loader left in memory |
#![no_std]
#![expect(unsafe_code, reason = "parts of the privileged layer: page tables, registers of the early console")]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[cfg(target_os = "none")]
pub mod above;
pub mod blocks;
pub mod columns;
pub mod console;
pub mod guest_map;
#[cfg(target_os = "none")]
pub mod image;
#[cfg(target_os = "none")]
pub mod own;
pub mod own_code;
pub mod promises;
pub mod remembered;
pub mod resident;
pub mod scale;
pub mod stack;
pub mod tags;
pub mod ties;
pub mod tree;

/// A walker's complaint in the contract's words.
pub const fn told(error: isa_paging::MapError) -> arch_api::MapError {
    match error {
        isa_paging::MapError::AlreadyMapped(_) => arch_api::MapError::AlreadyMapped,
        isa_paging::MapError::Misaligned => arch_api::MapError::Misaligned,
        isa_paging::MapError::OutOfRange => arch_api::MapError::OutOfRange,
        isa_paging::MapError::OutOfTables => arch_api::MapError::NoMemory,
    }
}
