//! Where a guest's accesses go, and what it sees when nothing takes them.

use addr::Gpa;
use arch::{GuestFault, Nanos, Place, RegisterId, Width};
use host_log::{Allowed, Limiter};
use vm_bus::{Bus, Hint, Refused};

use crate::firmware::sbi;

/// A guest's address spaces. Filled while the machine is built, then only read.
pub struct Buses {
    /// Guest-physical memory, where no memory is.
    pub memory: Bus<Gpa>,
    /// System registers that the architecture does not settle alone.
    pub registers: Bus<RegisterId>,
    /// What the guest's firmware is like.
    pub firmware: sbi::Settings,
    /// Which guest this is, for log lines.
    pub name: alloc::string::String,
    /// Keeps one guest from filling the log.
    pub limiter: Limiter,
}

/// Where the accesses of one virtual CPU went last.
#[derive(Default)]
pub(crate) struct Hints {
    memory: Hint,
    registers: Hint,
}

impl Buses {
    /// Reads for a guest. A refusal is a fault for memory and registers; an absent port reads as ones.
    #[inline(always)]
    pub(crate) fn read(
        &self,
        hints: &mut Hints,
        place: Place,
        width: Width,
        by: u32,
    ) -> Result<u64, (GuestFault, Refused)> {
        match place {
            Place::Memory(at) => self
                .memory
                .read(&mut hints.memory, at, width, by)
                .map_err(|why| (GuestFault::ExternalAbort, why)),
            Place::Register(id) => self
                .registers
                .read(&mut hints.registers, id, width, by)
                .map_err(|why| (GuestFault::Undefined, why)),
            Place::Port(_) => Ok(width.mask()),
        }
    }

    /// Writes for a guest.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        hints: &mut Hints,
        place: Place,
        width: Width,
        by: u32,
        value: u64,
    ) -> Result<(), (GuestFault, Refused)> {
        match place {
            Place::Memory(at) => self
                .memory
                .write(&mut hints.memory, at, width, by, value)
                .map_err(|why| (GuestFault::ExternalAbort, why)),
            Place::Register(id) => self
                .registers
                .write(&mut hints.registers, id, width, by, value)
                .map_err(|why| (GuestFault::Undefined, why)),
            Place::Port(_) => Ok(()),
        }
    }

    /// A line about the guest, if it did not cause too many lately.
    #[cold]
    pub fn complain(&self, now: Nanos, by: u32, what: core::fmt::Arguments<'_>) {
        if let Allowed::Yes { dropped } = self.limiter.allow(now) {
            if dropped > 0 {
                host_log::info!("{}: {dropped} lines about it were left out", self.name);
            }
            host_log::info!("{}/vcpu{by}: {what}", self.name);
        }
    }
}
