//! The host's shore: drivers, found in the host's device tree, one file each.
//!
//! A driver is a row of [`CATALOG`]: what it is called, at which [`Stage`] of start-up it is wanted, which
//! `compatible` strings it answers to, and a function that starts it on a [`Node`]. It owns what it got
//! from its node (registers, interrupt lines) and gives it back when it is dropped; what it can do for
//! others it publishes in a registry (`vio`, `host-irq`).
//!
//! [`probe`] starts what it finds. A driver that needs another one declines with [`Declined::Later`] and
//! is tried again when another has started; one that fails is reported, and nothing else falls.
//!
//! To add a driver: one file, one `mod` line, one line in [`CATALOG`], or in the list of the only family of processors
//! that can have its device.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod clock;
pub mod cpus;
mod irqchip;
mod node;
mod power;
mod probe;
mod rtc;
mod serial;

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::any::Any;
use core::fmt;

use arch::Family;

pub use node::Node;
pub use probe::{Device, State, devices, probe, report};

/// Every driver, by what can have its device.
pub const CATALOG: &[&[&Driver]] = &[
    arch::only(Family::Arm, ARM),
    arch::only(Family::Riscv, RISCV),
    &[&serial::ns16550::DRIVER, &rtc::goldfish::DRIVER, &power::syscon::POWEROFF, &power::syscon::REBOOT],
];

const ARM: &[&Driver] = &[
    &irqchip::gicv2::DRIVER,
    &irqchip::gicv3::DRIVER,
    &clock::armv8_timer::DRIVER,
    &serial::cadence::DRIVER,
    &serial::pl011::DRIVER,
    &rtc::pl031::DRIVER,
    &power::psci::DRIVER,
];

const RISCV: &[&Driver] = &[
    &irqchip::aplic::DRIVER,
    &irqchip::imsic::DRIVER,
    &irqchip::plic::DRIVER,
    &irqchip::riscv_intc::DRIVER,
    &irqchip::sswi::DRIVER,
    &clock::riscv_timer::DRIVER,
];

/// A driver.
pub struct Driver {
    /// What it is called in lists and messages.
    pub name: &'static str,
    /// What kind of device it drives, for `host class_list`.
    pub class: &'static str,
    /// When it is wanted.
    pub stage: Stage,
    /// The `compatible` strings that it answers to.
    pub compatible: &'static [&'static str],
    /// Starts it on a node.
    pub start: fn(&Node<'_>) -> Result<Running, Declined>,
}

/// A driver at work: kept while the device is in use, dropped to give everything back.
pub type Running = Box<dyn Any + Send + Sync>;

/// The order of start-up. Inside a stage, order does not matter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stage {
    /// Interrupt controllers.
    IrqChip,
    /// Timers.
    Clock,
    /// What brings processors up and switches the machine off.
    Cpus,
    /// What the console may run on.
    Console,
    /// Buses with devices behind them.
    Bus,
    /// Everything else.
    Device,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: &[Stage] =
        &[Self::IrqChip, Self::Clock, Self::Cpus, Self::Console, Self::Bus, Self::Device];
}

/// Why a driver does not start on a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Declined {
    /// It needs something that is not there yet, namely this.
    Later(String),
    /// It looked and found that the device is not what it drives.
    NotMine,
    /// The node or the device is wrong, in words that name the property or the register.
    Broken(String),
}

impl Declined {
    /// The node or the device is wrong: `why`.
    pub fn broken(why: impl fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Later(what) => write!(f, "waits for {what}"),
            Self::NotMine => f.write_str("is no device of this kind"),
            Self::Broken(why) => f.write_str(why),
        }
    }
}
