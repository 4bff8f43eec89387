//! STA (riscv-sbi-doc, chapter 16): steal time. A guest names 64 bytes of its memory for each hart, and finds there for
//! how long the hart was ready and did not run. Linux shows it as "steal" in `/proc/stat`.

use addr::Gpa;
use arch::{Nanos, Width};
use isa_firmware::sbi::{Error, Extension, sta};
use vm_memory::{GuestMemory, OutOfBounds};

use super::{Answer, Entry, Request, low};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Sta, answer }];

/// Where one CPU is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Steal {
    at: Gpa,
    /// Even: nothing is being written.
    sequence: u32,
    told: Nanos,
}

impl Steal {
    /// Writes how much time was taken from the CPU, all in all, if that is more than it knows.
    #[inline]
    pub(crate) fn tell(&mut self, memory: &dyn GuestMemory, stolen: Nanos) {
        if stolen != self.told {
            self.told = stolen;
            // A guest that is being taken apart has no memory any more.
            let _ = self.write(memory);
        }
    }

    fn write(&mut self, memory: &dyn GuestMemory) -> Result<(), OutOfBounds> {
        let place = |offset| self.at.checked_add(offset).unwrap_or(self.at);
        let [sequence, steal] = [place(sta::SEQUENCE), place(sta::STEAL)];
        // The guest reads again when the number is odd or changed meanwhile. Each store is ordered behind the ones
        // before it.
        memory.store(sequence, Width::B4, self.sequence.wrapping_add(1).into())?;
        memory.store(steal, Width::B8, self.told.0)?;
        self.sequence = self.sequence.wrapping_add(2);
        memory.store(sequence, Width::B4, self.sequence.into())
    }
}

fn answer(request: &mut Request<'_>) -> Answer {
    let [at, high, flags, ..] = request.arguments;
    if request.function != sta::SET_SHMEM {
        return Answer::NOT_SUPPORTED;
    }
    if low(flags) != 0 {
        return Answer::INVALID;
    }
    if [at, high] == [u64::MAX; 2] {
        request.own.steal = None;
        return Answer::SUCCESS;
    }
    if !at.is_multiple_of(sta::SIZE) {
        return Answer::INVALID;
    }
    // Addresses have 64 bits; the upper register is for harts with less.
    let at = Gpa::new(at);
    if high != 0 || request.caller.buses.firmware.memory.fill(at, sta::SIZE, 0).is_err() {
        return Answer::error(Error::InvalidAddress);
    }
    request.own.steal = Some(Steal { at, sequence: 0, told: Nanos(0) });
    Answer::SUCCESS
}
