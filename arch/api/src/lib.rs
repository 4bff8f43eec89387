//! What an architecture must provide: the contract between the privileged part of the hypervisor and
//! everything above it. It reads top to bottom as the work plan of a port.
//!
//! | once this is done | this works |
//! |---|---|
//! | [`Boot`] | the first line on the console |
//! | [`Cpu`] | locks, per-CPU data |
//! | [`LocalIrqs`] | host interrupts |
//! | [`Clock`] | time |
//! | [`Context`] | threads |
//! | [`Processors`] | more than one CPU |
//! | [`HostPaging`], [`Cache`], [`Mmio`] | our own address space, drivers |
//! | [`Untyped`] | guest memory is read and written |
//! | [`GuestSpace`] | a guest's memory map |
//! | [`GuestCpu`] | a guest runs |
//!
//! *Meaning crosses this boundary, never syndromes.* An [`Exit`] says "read four bytes at this
//! address", not what the exception syndrome register held; instructions are decoded below. What an
//! architecture can settle alone (ID registers, lazily switched state) is not an exit.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod cpu;
mod exit;
mod guest;
mod memory;
mod waits;

pub use cpu::{
    Boot, Clock, Context, Cpu, CpuId, CpuStart, IrqEntry, IrqsOff, LocalIrqs, MAX_CPUS, Nanos, Nesting,
    Processors, StartInfo,
};
pub use exit::{Call, Conduit, Exit, GuestFault, Place, PowerOn, Read, RegisterId, Width, Write};
pub use guest::{
    FileImage, FilePage, GuestCpu, GuestPort, GuestProfile, GuestSpace, Held, IrqSlot, MessageFile, NoVirt,
    SlotState, Stale, TableFrames, Tally, Virt, VirtualInterface, Wires,
};
pub use memory::{Cache, Fault, HostPaging, Kind, MapError, Mmio, Rights, Untyped};
pub use waits::Waits;

/// Everything that an architecture is.
pub trait Arch:
    Boot + Cpu + Processors + LocalIrqs + Clock + Context + HostPaging + Cache + Mmio + Untyped + Virt
{
}
impl<T> Arch for T where
    T: Boot + Cpu + Processors + LocalIrqs + Clock + Context + HostPaging + Cache + Mmio + Untyped + Virt
{
}
