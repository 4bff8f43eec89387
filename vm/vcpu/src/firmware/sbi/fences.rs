//! RFENCE (riscv-sbi-doc, chapter 8): fences on other harts. There are none of the hypervisor extension, which guests
//! don't have.

use arch::Stale;
use isa_firmware::sbi::{Error, Extension, FirmwareEvent, Harts, rfence};

use super::{Answer, Entry, Request};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Rfence, answer }];

/// A fence, and what it is counted as.
pub(super) type Fence = (Stale, FirmwareEvent);

fn answer(request: &mut Request<'_>) -> Answer {
    let [mask, base, start, length, space, _] = request.arguments;
    let fence = match request.function {
        rfence::FENCE_I => INSTRUCTIONS,
        rfence::SFENCE_VMA => addresses(start, length),
        rfence::SFENCE_VMA_ASID => match addresses_of(space, start, length) {
            Some(fence) => fence,
            None => return Answer::INVALID,
        },
        _ => return Answer::NOT_SUPPORTED,
    };
    match on(request, Harts::new(mask, base), fence) {
        Ok(()) => Answer::SUCCESS,
        Err(error) => Answer::error(error),
    }
}

/// FENCE.I.
pub(super) const INSTRUCTIONS: Fence = (Stale::Instructions, FirmwareEvent::FenceISent);

/// SFENCE.VMA: nothing and all ones both mean everything (8.2: start and size zero).
pub(super) fn addresses(from: u64, length: u64) -> Fence {
    (Stale::Addresses { from, length: whole(from, length), space: None }, FirmwareEvent::SfenceVmaSent)
}

/// The same of one address space; `None` where there can be no such one.
pub(super) fn addresses_of(space: u64, from: u64, length: u64) -> Option<Fence> {
    let space = Some(u16::try_from(space).ok()?);
    let stale = Stale::Addresses { from, length: whole(from, length), space };
    Some((stale, FirmwareEvent::SfenceVmaAsidSent))
}

fn whole(from: u64, length: u64) -> u64 {
    if from == 0 && length == 0 { u64::MAX } else { length }
}

/// Does it on harts.
pub(super) fn on(request: &mut Request<'_>, harts: Harts, (stale, event): Fence) -> Result<(), Error> {
    request.for_each(harts, |_| {})?;
    request.forget(stale);
    request.own.counters.count(event);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_zero_on_is_everything() {
        let of = |from, length| match addresses(from, length) {
            (Stale::Addresses { from, length, space: None }, FirmwareEvent::SfenceVmaSent) => (from, length),
            other => panic!("{other:?}"),
        };
        assert_eq!([of(0, 0), of(0, u64::MAX)], [(0, u64::MAX); 2]);
        assert_eq!([of(0x1000, 0), of(0, 0x2000)], [(0x1000, 0), (0, 0x2000)]);
        let stale = |length| Stale::Addresses { from: 0, length, space: Some(3) };
        assert_eq!(addresses_of(3, 0, 0), Some((stale(u64::MAX), FirmwareEvent::SfenceVmaAsidSent)));
        assert_eq!(addresses_of(0x1_0000, 0, 0), None, "there are 16 bits of identifiers");
    }
}
