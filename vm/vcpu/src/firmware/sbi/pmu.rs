//! PMU (riscv-sbi-doc, chapter 11): counters of what the firmware does, and the hart's of cycles and instructions, which
//! count while the hart runs this guest's CPU ([`arch::GuestCpu::set_tally`]). Other events of the hart are not to be
//! had: its programmable counters are its firmware's, and what they count is not told apart by guests.

use arch::Tally;
use isa_firmware::sbi::{Error, Event, Extension, FirmwareEvent, Harts, pmu};

use super::{Answer, Entry, Hart, Request, low};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Pmu, answer }];

/// The hart's counters come first, where their CSRs have them: Linux knows fixed counters by that. The one of time,
/// between them, is none.
const HARDWARE: usize = 3;
/// Counters of each CPU.
const COUNT: usize = HARDWARE + 16;

/// CSRs in which guests read the hart's.
const CYCLE: u16 = 0xc00;
const INSTRET: u16 = 0xc02;

/// A CPU's counters.
#[derive(Default)]
pub(crate) struct Counters {
    all: [Counter; COUNT],
    /// How many of the firmware's run.
    running: u32,
}

/// What a counter counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Firmware(FirmwareEvent),
    /// The value is where the guest reads it.
    Hart(Tally),
}

#[derive(Clone, Copy, Default)]
struct Counter {
    event: Option<Counted>,
    runs: bool,
    value: u64,
}

impl Counter {
    /// It begins, goes on, or stops; with another value, if one is given.
    fn set(&mut self, hart: &mut dyn Hart, from: Option<u64>, runs: bool) {
        self.runs = runs;
        match self.event {
            Some(Counted::Hart(tally)) => hart.set_tally(tally, from, runs),
            _ => self.value = from.unwrap_or(self.value),
        }
    }
}

impl Counters {
    /// Something happened.
    #[inline]
    pub(crate) fn count(&mut self, event: FirmwareEvent) {
        if self.running != 0 {
            self.count_slowly(event);
        }
    }

    #[cold]
    fn count_slowly(&mut self, event: FirmwareEvent) {
        let event = Some(Counted::Firmware(event));
        for counter in self.all.iter_mut().filter(|counter| counter.runs && counter.event == event) {
            counter.value = counter.value.wrapping_add(1);
        }
    }

    fn at(&mut self, index: u64) -> Option<&mut Counter> {
        self.all.get_mut(usize::try_from(index).ok()?)
    }

    /// The counters that a base and a mask mean, if all of them are in range.
    fn chosen(&self, base: u64, mask: u64) -> Result<Harts, Error> {
        // As harts, but that there is no way to say all.
        let chosen = Harts::Some { mask, base };
        let exist = (0..COUNT as u64).filter(|index| chosen.has(*index)).count();
        if mask == 0 || chosen.count() != u32::try_from(exist).ok() {
            return Err(Error::InvalidParam);
        }
        Ok(chosen)
    }

    fn settle(&mut self) {
        let runs = |counter: &&Counter| counter.runs && matches!(counter.event, Some(Counted::Firmware(_)));
        self.running = self.all.iter().filter(runs).map(|_| 1).sum();
    }
}

/// What we count at all.
fn is_counted(event: FirmwareEvent) -> bool {
    matches!(
        event,
        FirmwareEvent::AccessLoad
            | FirmwareEvent::AccessStore
            | FirmwareEvent::IllegalInstruction
            | FirmwareEvent::SetTimer
            | FirmwareEvent::IpiSent
            | FirmwareEvent::FenceISent
            | FirmwareEvent::SfenceVmaSent
            | FirmwareEvent::SfenceVmaAsidSent
    )
}

/// What a counter is of; `None` for one that is not there.
enum Kind {
    Firmware,
    Hart(Tally, u16),
}

fn kind(hart: &dyn Hart, index: u64) -> Option<Kind> {
    match index {
        0 if hart.has_tallies() => Some(Kind::Hart(Tally::Cycles, CYCLE)),
        2 if hart.has_tallies() => Some(Kind::Hart(Tally::Instructions, INSTRET)),
        _ => (HARDWARE as u64..COUNT as u64).contains(&index).then_some(Kind::Firmware),
    }
}

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, second, third, fourth, ..] = request.arguments;
    let (counters, hart) = (&mut request.own.counters, &mut *request.hart);
    // There is no shared memory for snapshots: SNAPSHOT_SET_SHMEM is not supported.
    let snapshot = match request.function {
        pmu::COUNTER_START => pmu::START_INIT_SNAPSHOT,
        pmu::COUNTER_STOP => pmu::STOP_TAKE_SNAPSHOT,
        _ => 0,
    };
    if third & snapshot != 0 {
        return Answer::error(Error::NoShmem);
    }
    let result = match request.function {
        pmu::NUM_COUNTERS => Ok(COUNT as u64),
        pmu::COUNTER_GET_INFO => match kind(hart, first) {
            Some(Kind::Hart(_, csr)) => Ok(pmu::info_hardware(csr)),
            Some(Kind::Firmware) => Ok(pmu::INFO_FIRMWARE),
            None => Err(Error::InvalidParam),
        },
        pmu::COUNTER_CONFIG_MATCHING => configure(counters, hart, [first, second, third], low(fourth)),
        pmu::COUNTER_START => start(counters, hart, [first, second, third, fourth]),
        pmu::COUNTER_STOP => stop(counters, hart, [first, second, third]),
        pmu::COUNTER_FW_READ => match counters.at(first) {
            Some(Counter { event: Some(Counted::Firmware(_)), value, .. }) => Ok(*value),
            _ => Err(Error::InvalidParam),
        },
        // The upper half of a value that has no more than a register's bits.
        pmu::COUNTER_FW_READ_HI => match kind(hart, first) {
            Some(Kind::Firmware) => Ok(0),
            _ => Err(Error::InvalidParam),
        },
        _ => Err(Error::NotSupported),
    };
    match result {
        Ok(value) => Answer::value(value),
        Err(error) => Answer::error(error),
    }
}

/// Finds a counter for an event; the value is its number.
fn configure(
    counters: &mut Counters,
    hart: &mut dyn Hart,
    [base, mask, flags]: [u64; 3],
    event: u32,
) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let skip = flags & pmu::CONFIG_SKIP_MATCH != 0;
    let event = match Event::decode(event) {
        // Then the counter is the caller's choice.
        _ if skip => None,
        Event::Firmware(event) if is_counted(event) => Some(Counted::Firmware(event)),
        Event::Hardware(pmu::CPU_CYCLES) => Some(Counted::Hart(Tally::Cycles)),
        Event::Hardware(pmu::INSTRUCTIONS) => Some(Counted::Hart(Tally::Instructions)),
        _ => return Err(Error::NotSupported),
    };
    let candidates = (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index));
    let fit = candidates.filter_map(|(index, counter)| {
        let event = match (kind(hart, index)?, event) {
            (Kind::Hart(tally, _), None) => Some(Counted::Hart(tally)),
            (Kind::Firmware, None) => counter.event,
            (Kind::Hart(own, _), Some(Counted::Hart(tally))) if own == tally => event,
            (Kind::Firmware, Some(Counted::Firmware(_))) => event,
            _ => return None,
        };
        (skip || counter.event.is_none()).then_some((index, counter, event))
    });
    let Some((index, counter, event)) = { fit }.next() else { return Err(Error::NotSupported) };
    counter.event = event;
    let from = (flags & pmu::CONFIG_CLEAR_VALUE != 0).then_some(0);
    let runs = flags & pmu::CONFIG_AUTO_START != 0 || skip && counter.runs;
    counter.set(hart, from, runs);
    counters.settle();
    Ok(index)
}

fn start(
    counters: &mut Counters,
    hart: &mut dyn Hart,
    [base, mask, flags, value]: [u64; 4],
) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let from = (flags & pmu::START_SET_INIT_VALUE != 0).then_some(value);
    let mut result = Ok(0);
    for (_, counter) in (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index)) {
        if counter.event.is_none() {
            result = Err(Error::InvalidParam);
        } else if counter.runs {
            result = Err(Error::AlreadyStarted);
        } else {
            counter.set(hart, from, true);
        }
    }
    counters.settle();
    result
}

fn stop(counters: &mut Counters, hart: &mut dyn Hart, [base, mask, flags]: [u64; 3]) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let mut result = Ok(0);
    for (_, counter) in (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index)) {
        if counter.runs {
            counter.set(hart, None, false);
        } else {
            result = Err(Error::AlreadyStopped);
        }
        if flags & pmu::STOP_RESET != 0 {
            counter.event = None;
        }
    }
    counters.settle();
    result
}
