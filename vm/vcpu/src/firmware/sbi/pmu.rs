//! PMU (riscv-sbi-doc, chapter 11): counters of what the firmware does. The hardware's counters run for all guests
//! together and can't be stopped for one, so none of them is offered.

use isa_firmware::sbi::{Error, Event, Extension, FirmwareEvent, Harts, pmu};

use super::{Answer, Entry, Request, low};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Pmu, answer }];

/// Counters of each CPU.
const COUNT: usize = 16;

/// A CPU's counters.
#[derive(Default)]
pub(crate) struct Counters {
    all: [Counter; COUNT],
    /// How many run.
    running: u32,
}

#[derive(Clone, Copy, Default)]
struct Counter {
    event: Option<FirmwareEvent>,
    runs: bool,
    value: u64,
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
        for counter in self.all.iter_mut().filter(|counter| counter.runs && counter.event == Some(event)) {
            counter.value = counter.value.wrapping_add(1);
        }
    }

    fn at(&mut self, index: u64) -> Option<&mut Counter> {
        self.all.get_mut(usize::try_from(index).ok()?)
    }

    /// The counters that a base and a mask mean, if there are all of them.
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
        self.running =
            (0..).zip(&self.all).filter(|(_, counter)| counter.runs).map(|(_, _): (u32, _)| 1).sum();
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

fn answer(request: &mut Request<'_>) -> Answer {
    let [first, second, third, fourth, ..] = request.arguments;
    let counters = &mut request.own.counters;
    let result = match request.function {
        pmu::NUM_COUNTERS => Ok(COUNT as u64),
        pmu::COUNTER_GET_INFO => counters.at(first).map(|_| pmu::INFO_FIRMWARE).ok_or(Error::InvalidParam),
        pmu::COUNTER_CONFIG_MATCHING => configure(counters, first, second, third, low(fourth)),
        pmu::COUNTER_START => start(counters, first, second, third, fourth),
        pmu::COUNTER_STOP => stop(counters, first, second, third),
        pmu::COUNTER_FW_READ => match counters.at(first) {
            Some(Counter { event: Some(_), value, .. }) => Ok(*value),
            _ => Err(Error::InvalidParam),
        },
        // The upper half of a value that has no more than a register's bits.
        pmu::COUNTER_FW_READ_HI => counters.at(first).map(|_| 0).ok_or(Error::InvalidParam),
        _ => Err(Error::NotSupported),
    };
    match result {
        Ok(value) => Answer::value(value),
        Err(error) => Answer::error(error),
    }
}

/// Finds a counter for an event; the value is its number.
fn configure(counters: &mut Counters, base: u64, mask: u64, flags: u64, event: u32) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let skip = flags & pmu::CONFIG_SKIP_MATCH != 0;
    let event = match Event::decode(event) {
        Event::Firmware(event) if is_counted(event) => Some(event),
        // Then only the counter's state is changed.
        _ if skip => None,
        _ => return Err(Error::NotSupported),
    };
    let candidates = (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index));
    let mut fit = candidates.filter(|(_, counter)| skip || counter.event.is_none());
    let Some((index, counter)) = fit.next() else { return Err(Error::NotSupported) };
    if !skip {
        *counter = Counter { event, runs: false, value: counter.value };
    }
    if flags & pmu::CONFIG_CLEAR_VALUE != 0 {
        counter.value = 0;
    }
    if flags & pmu::CONFIG_AUTO_START != 0 {
        counter.runs = true;
    }
    counters.settle();
    Ok(index)
}

fn start(counters: &mut Counters, base: u64, mask: u64, flags: u64, value: u64) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let mut result = Ok(0);
    for (_, counter) in (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index)) {
        if counter.event.is_none() {
            result = Err(Error::InvalidParam);
        } else if counter.runs {
            result = Err(Error::AlreadyStarted);
        } else {
            counter.runs = true;
            if flags & pmu::START_SET_INIT_VALUE != 0 {
                counter.value = value;
            }
        }
    }
    counters.settle();
    result
}

fn stop(counters: &mut Counters, base: u64, mask: u64, flags: u64) -> Result<u64, Error> {
    let chosen = counters.chosen(base, mask)?;
    let mut result = Ok(0);
    for (_, counter) in (0u64..).zip(&mut counters.all).filter(|(index, _)| chosen.has(*index)) {
        if !counter.runs {
            result = Err(Error::AlreadyStopped);
        }
        counter.runs = false;
        if flags & pmu::STOP_RESET != 0 {
            counter.event = None;
        }
    }
    counters.settle();
    result
}
