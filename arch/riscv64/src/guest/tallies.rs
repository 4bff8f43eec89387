//! Counts of a guest's own of cycles and instructions (Priv, "Counter-Enable Register"; SBI, chapter 11).
//!
//! A hart's counters can be neither set nor stopped from here, and count for all who run on it. A guest reads them
//! until it asks its firmware to count. From then on its reads trap, and tell what came while a hart had the guest:
//! what our own code did for it is in there, what others did meanwhile is not.

use arch_api::Tally;
use isa_rv::csr::{self, Csr};

use super::COUNTERS;
use super::vcpu::State;
use crate::csr::{attempt, get, set, sstatus};

/// One that is the guest's own.
#[derive(Clone, Copy)]
struct Own {
    /// What it was when it last began to run, or stopped.
    value: u64,
    runs: bool,
    /// The hart's count at that time, if it runs and the guest is loaded.
    since: u64,
}

/// A virtual CPU's; where there is none, the guest reads the hart's.
#[derive(Clone, Copy, Default)]
pub(super) struct Tallies {
    cycles: Option<Own>,
    instructions: Option<Own>,
}

/// The hart's count; nothing where its firmware keeps it from us (`mcounteren`). Interrupts are masked.
pub(super) fn of_hart(tally: Tally) -> Option<u64> {
    // SAFETY: reads a register.
    unsafe {
        match tally {
            Tally::Cycles => attempt!("csrr {value}, cycle # {operand}", 0),
            Tally::Instructions => attempt!("csrr {value}, instret # {operand}", 0),
        }
    }
}

/// Its bit in `hcounteren` and `scounteren`.
const fn bit(tally: Tally) -> u64 {
    match tally {
        Tally::Cycles => 1 << 0,
        Tally::Instructions => 1 << 2,
    }
}

const BOTH: [Tally; 2] = [Tally::Cycles, Tally::Instructions];

impl Tallies {
    const fn of(&self, tally: Tally) -> Option<&Own> {
        match tally {
            Tally::Cycles => self.cycles.as_ref(),
            Tally::Instructions => self.instructions.as_ref(),
        }
    }

    const fn place(&mut self, tally: Tally) -> &mut Option<Own> {
        match tally {
            Tally::Cycles => &mut self.cycles,
            Tally::Instructions => &mut self.instructions,
        }
    }

    /// Whether there are any.
    #[inline]
    pub(super) const fn are_own(&self) -> bool {
        self.cycles.is_some() | self.instructions.is_some()
    }

    /// What the guest reads, if not the hart's.
    fn value(&self, tally: Tally, loaded: bool) -> Option<u64> {
        let own = self.of(tally)?;
        let ran = if own.runs && loaded { of_hart(tally).unwrap_or(0).wrapping_sub(own.since) } else { 0 };
        Some(own.value.wrapping_add(ran))
    }

    /// Sets one; see the contract.
    pub(super) fn set(&mut self, tally: Tally, from: Option<u64>, runs: bool, loaded: bool) {
        let now = of_hart(tally).unwrap_or(0);
        let value = from.or_else(|| self.value(tally, loaded)).unwrap_or(now);
        *self.place(tally) = Some(Own { value, runs, since: now });
        if loaded {
            self.trap();
        }
    }

    /// The guest is in the hart from now on.
    #[cold]
    pub(super) fn load(&mut self) {
        for tally in BOTH {
            if let Some(own) = self.place(tally) {
                own.since = of_hart(tally).unwrap_or(0);
            }
        }
        self.trap();
    }

    /// It leaves.
    #[cold]
    pub(super) fn unload(&mut self) {
        for tally in BOTH {
            let value = self.value(tally, true);
            if let (Some(own), Some(value)) = (self.place(tally), value) {
                own.value = value;
            }
        }
        // SAFETY: what the next guest reads.
        unsafe { set!("hcounteren", COUNTERS) };
    }

    /// Those that are the guest's own are not read without us.
    fn trap(&self) {
        let own = BOTH.into_iter().filter(|tally| self.of(*tally).is_some());
        // SAFETY: what the guest that is loaded reads.
        unsafe { set!("hcounteren", COUNTERS & !own.map(bit).sum::<u64>()) };
    }
}

impl State {
    /// Has the guest read a count of its own, if that is what the instruction is. It is loaded, and left just now.
    pub(super) fn read_tally(&mut self, word: u32) -> bool {
        let Some(access) = csr::decode(word).filter(|access| access.change.is_none()) else { return false };
        let tally = match access.csr {
            Csr::CYCLE => Tally::Cycles,
            Csr::INSTRET => Tally::Instructions,
            _ => return false,
        };
        let is_program = self.gprs.sstatus & sstatus::SPP == 0;
        if is_program && get!("scounteren") & bit(tally) == 0 {
            return false;
        }
        let Some(value) = self.tallies.value(tally, true) else { return false };
        self.set_operand(access.to, value);
        self.gprs.pc = self.gprs.pc.wrapping_add(4);
        true
    }
}
