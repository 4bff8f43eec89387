//! What an emulated device is.

use core::fmt;

use arch::{Nanos, Width};
use atomic::Arc;
use host_sync::Spin;

/// One access of a guest to a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Access {
    /// Bytes from the device's first one; for system registers, the register's number.
    pub offset: u64,
    /// How much.
    pub width: Width,
    /// Which of the guest's CPUs: some devices show each another face.
    pub by: u32,
}

impl Access {
    /// The offset of a register of 32 bits that is reached whole, for devices that know no other access.
    ///
    /// # Errors
    /// It is not aligned to 4 bytes, or has another width.
    #[inline]
    pub fn word(self) -> Result<u64, Refused> {
        if !self.offset.is_multiple_of(4) {
            return Err(Refused::Alignment);
        }
        if self.width == Width::B4 { Ok(self.offset) } else { Err(Refused::Width) }
    }
}

/// Why a device does not do what was asked.
// As large as the value in whose place it stands, so that a result of a read fits two registers.
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refused {
    /// There is nothing at this place.
    Nothing,
    /// Not in this width.
    Width,
    /// Not at an address that is no multiple of the width.
    Alignment,
    /// It cannot be written.
    ReadOnly,
    /// It cannot be read.
    WriteOnly,
    /// Not before the CPU's hardware said what became of its interrupts ([`arch::GuestCpu::refresh`]); who
    /// asks again then gets an answer.
    Unsettled,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing there",
            Self::Width => "not in this width",
            Self::Alignment => "not aligned",
            Self::ReadOnly => "read-only",
            Self::WriteOnly => "write-only",
            Self::Unsettled => "not settled",
        })
    }
}

/// Whether a poll is finished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// Nothing is left to do.
    Done,
    /// More is left; ask again.
    More,
}

/// An emulated device: a state machine that is driven in thread context only, by one caller at a time.
pub trait Device: Send {
    /// The guest reads. Bits beyond the width do not count.
    fn read(&mut self, access: Access) -> Result<u64, Refused>;
    /// The guest writes; bits of `value` beyond the width are zero.
    fn write(&mut self, access: Access, value: u64) -> Result<(), Refused>;
    /// A bell of the device rang: do a bounded amount of work.
    fn poll(&mut self) -> Work {
        Work::Done
    }
    /// Back to how it was built; lines low.
    fn reset(&mut self) {}
    /// Shows the state.
    fn inspect(&self, _tree: &mut inspect::Tree<'_>) {}
}

/// A device as a bus holds it: whoever calls brings no lock. [`share`] makes one of a [`Device`]; only a
/// device with several doors (an interrupt controller) has a reason to implement this itself.
pub trait Target: Send + Sync {
    /// As [`Device::read`].
    fn read(&self, access: Access) -> Result<u64, Refused>;
    /// As [`Device::write`].
    fn write(&self, access: Access, value: u64) -> Result<(), Refused>;
    /// As [`Device::poll`].
    fn poll(&self) -> Work {
        Work::Done
    }
    /// As [`Device::reset`].
    fn reset(&self) {}
    /// A CPU begins anew: what belongs to it alone as it was built.
    fn reset_cpu(&self, _cpu: u32) {}
    /// As [`Device::inspect`].
    fn inspect(&self, _tree: &mut inspect::Tree<'_>) {}
}

impl<D: Device> Target for Spin<D> {
    #[inline]
    fn read(&self, access: Access) -> Result<u64, Refused> {
        self.lock().read(access)
    }
    #[inline]
    fn write(&self, access: Access, value: u64) -> Result<(), Refused> {
        self.lock().write(access, value)
    }
    fn poll(&self) -> Work {
        self.lock().poll()
    }
    fn reset(&self) {
        self.lock().reset();
    }
    fn inspect(&self, tree: &mut inspect::Tree<'_>) {
        self.lock().inspect(tree);
    }
}

/// Puts a device behind its lock.
pub fn share<D: Device + 'static>(device: D) -> Arc<Spin<D>> {
    Arc::new(Spin::new(device))
}

/// Wakes one virtual CPU. From any context, without locks.
pub trait VcpuWaker: Send + Sync {
    /// An interrupt is waiting for it: run, or look again before going on.
    fn wake(&self);
    /// One will be at this time; replaces what was asked before.
    fn wake_at(&self, at: Nanos);
}
