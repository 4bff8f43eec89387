//! The development machine as an architecture, so that plain `cargo test` runs the hypervisor's logic.
//!
//! Tests run in parallel, so there are many machines at once: every thread of the operating system that
//! calls in is a processor of its own, with its own interrupts and its own clock. Threads that
//! [`Context::prepare`](arch_api::Context::prepare) made share the processor of those that switch to
//! them; exactly one runs at a time, as the baton goes.
//!
//! Time is virtual at first: it stands still while code runs, and [`Cpu::wait`](arch_api::Cpu::wait)
//! moves it to the next alarm, so tests neither sleep nor depend on the speed of the machine.
//! [`time::advance`] lets time pass, [`time::use_real_clock`] makes it real.
//!
//! Interrupts come where a real processor could take them in a program that does nothing but call
//! in: at unmasking, in [`time::advance`], and they end [`Cpu::wait`](arch_api::Cpu::wait).

mod boot;
mod context;
mod cpu;
pub mod irq;
pub mod memory;
pub mod processors;
pub mod registers;
pub mod script;
mod space;
pub mod time;

pub use script::ScriptedVcpu;
pub use space::HostedSpace;

/// The development machine.
#[derive(Clone, Copy, Debug)]
pub struct Hosted;

/// The number of the interrupt that the alarm raises.
pub const ALARM_IRQ: u32 = 26;
