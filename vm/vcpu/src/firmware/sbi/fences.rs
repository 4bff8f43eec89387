//! RFENCE (riscv-sbi-doc, chapter 8): fences on other harts. There are none of the hypervisor extension, which guests
//! don't have.

use addr::PAGE_SIZE;
use arch::Stale;
use isa_firmware::sbi::{Error, Extension, FirmwareEvent, Harts, rfence};

use super::{Answer, Entry, Request};

pub(super) const EXTENSIONS: &[Entry] = &[Entry { extension: Extension::Rfence, answer }];

/// A fence, and what it is counted as.
pub(super) type Fence = (Stale, FirmwareEvent);

fn answer(request: &mut Request<'_>) -> Answer {
    let [mask, base, start, length, space, _] = request.arguments;
    let fence = match request.function {
        rfence::FENCE_I => Ok(INSTRUCTIONS),
        rfence::SFENCE_VMA => addresses(start, length),
        rfence::SFENCE_VMA_ASID => addresses_of(space, start, length),
        _ => return Answer::NOT_SUPPORTED,
    };
    match fence.and_then(|fence| on(request, Harts::new(mask, base), fence)) {
        Ok(()) => Answer::SUCCESS,
        Err(error) => Answer::error(error),
    }
}

/// FENCE.I.
pub(super) const INSTRUCTIONS: Fence = (Stale::Instructions, FirmwareEvent::FenceISent);

/// SFENCE.VMA.
pub(super) fn addresses(from: u64, length: u64) -> Result<Fence, Error> {
    let (from, length) = pages(from, length)?;
    Ok((Stale::Addresses { from, length, space: None }, FirmwareEvent::SfenceVmaSent))
}

/// The same of one address space, if there can be such one.
pub(super) fn addresses_of(space: u64, from: u64, length: u64) -> Result<Fence, Error> {
    let space = Some(u16::try_from(space).map_err(|_| Error::InvalidParam)?);
    let (from, length) = pages(from, length)?;
    Ok((Stale::Addresses { from, length, space }, FirmwareEvent::SfenceVmaAsidSent))
}

/// The pages in which these bytes lie, where a fence may be made page by page. Start and size zero mean everything, and
/// so does a size of all ones (chapter 8).
fn pages(from: u64, length: u64) -> Result<(u64, u64), Error> {
    if [0, u64::MAX].contains(&length) {
        let all = length == u64::MAX || from == 0;
        return Ok(if all { (0, u64::MAX) } else { (from, 0) });
    }
    let last = from.checked_add(length - 1).ok_or(Error::InvalidAddress)?;
    let first = from & !(PAGE_SIZE - 1);
    Ok((first, ((last | (PAGE_SIZE - 1)) - first).saturating_add(1)))
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

    fn range(from: u64, length: u64) -> Result<(u64, u64), Error> {
        match addresses(from, length)? {
            (Stale::Addresses { from, length, space: None }, FirmwareEvent::SfenceVmaSent) => {
                Ok((from, length))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_from_zero_on_is_everything_and_so_is_a_size_of_all_ones() {
        assert_eq!([range(0, 0), range(0, u64::MAX), range(0x1000, u64::MAX)], [Ok((0, u64::MAX)); 3]);
        assert_eq!([range(0x1000, 0), range(0, 0x2000)], [Ok((0x1000, 0)), Ok((0, 0x2000))]);
        let stale = |length| Stale::Addresses { from: 0, length, space: Some(3) };
        assert_eq!(addresses_of(3, 0, 0), Ok((stale(u64::MAX), FirmwareEvent::SfenceVmaAsidSent)));
        assert_eq!(
            addresses_of(0x1_0000, 0, 0),
            Err(Error::InvalidParam),
            "there are 16 bits of identifiers"
        );
    }

    #[test]
    fn bytes_are_all_pages_that_they_lie_in() {
        assert_eq!([range(0x1ff8, 16), range(0x1ff8, 8)], [Ok((0x1000, 0x2000)), Ok((0x1000, 0x1000))]);
        assert_eq!(range(1, u64::MAX - 1), Ok((0, u64::MAX)));
    }

    #[test]
    fn bytes_that_reach_beyond_the_last_address_are_refused() {
        let last = !0xfff;
        assert_eq!([range(last, 0x1000), range(u64::MAX, 1)], [Ok((last, 0x1000)); 2]);
        assert_eq!([range(last, 0x1001), range(3, u64::MAX - 1)], [Err(Error::InvalidAddress); 2]);
        assert_eq!(addresses_of(3, last, 0x2000), Err(Error::InvalidAddress));
    }
}
