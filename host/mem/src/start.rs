//! The beginning: which memory there is, where the books go, and our own address space.
#![expect(unsafe_code, reason = "raw memory becomes the allocator's")]

use core::mem::MaybeUninit;

use addr::{Hpa, PAGE_SIZE, Span};
use arch::{HostPaging, Machine};
use buddy::Buddy;

use crate::claim::pages;
use crate::error::{InitError, NoMemory};
use crate::frames::{self, Bank};
use crate::owned::zero;

/// What is known about RAM at the start.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'a> {
    /// The banks of RAM that we may use and map.
    pub banks: &'a [Span<Hpa>],
    /// What of it is in use: by the firmware, by the host's tree, by the initrd. In any order; may
    /// overlap and reach beyond the banks.
    pub reserved: &'a [Span<Hpa>],
    /// Where our own image lies.
    pub image: Span<Hpa>,
}

/// Start-up code maps the memory around the image at least up to multiples of this.
const MAPPED_EARLY: u64 = 1 << 30;

/// Takes the machine's memory over: builds the frame allocator over all banks, with its books near the
/// image, and starts our own address space. The heap works from then on.
///
/// It costs a few steps per bank and per reserved range, and zeroing the books: 1 byte for 8 KiB of RAM.
///
/// # Errors
/// As [`InitError`] says; nothing can be allocated then.
pub fn init(layout: &Layout<'_>) -> Result<(), InitError> {
    if frames::is_started() {
        return Err(InitError::Twice);
    }
    check(layout)?;
    let early = early(layout.image);
    let count = layout.banks.iter().filter_map(|bank| whole_pages(*bank)).count();
    let books = place_books(layout, early, books_length(layout, count))?;
    let (banks, spans) = make_books(layout, books, count);
    frames::start(banks, layout.image);
    // So that nobody can ever be given them: see `release` and `boot_image`. An image outside of the banks is
    // safe anyway.
    for own in [Some(books), pages(layout.image)].into_iter().flatten() {
        let _ = frames::keep(own);
    }
    // First only what start-up code mapped: the tables come from there.
    insert(layout, books, |piece| intersection(piece, early), |_| None);
    // SAFETY: the boot CPU is here for the first time, as was checked above, and the banks are RAM, as the
    // caller's device tree says.
    unsafe { Machine::start(spans, frames::tables()) }.map_err(InitError::Map)?;
    insert(layout, books, |piece| below(piece, early), |piece| above(piece, early));
    Ok(())
}

/// Gives memory to the allocator that was reserved at the start and is needed no more. Pages that are not
/// wholly inside are left alone.
///
/// # Errors
/// Some of it is in use, or is no RAM; then nothing has changed.
pub fn release(span: Span<Hpa>) -> Result<(), NoMemory> {
    whole_pages(span).map_or(Ok(()), frames::insert)
}

/// What the boot loader left at `span`, which was reserved at the start and stays so for ever: an initrd.
/// `None` when it does not lie in RAM, or somebody has it: then it was not reserved, or was asked for twice.
pub fn boot_image(span: Span<Hpa>) -> Option<&'static [u8]> {
    frames::keep(pages(span)?).ok()?;
    // SAFETY: all RAM is mapped. Nobody had these pages, and from now on nobody gets them.
    Some(unsafe { core::slice::from_raw_parts(Machine::address_of(span.base()), span.length() as usize) })
}

fn check(layout: &Layout<'_>) -> Result<(), InitError> {
    if !layout.banks.iter().any(|bank| whole_pages(*bank).is_some()) {
        return Err(InitError::NoRam);
    }
    for (index, a) in layout.banks.iter().enumerate() {
        if let Some(b) = layout.banks.iter().skip(index + 1).find(|b| a.overlaps(b)) {
            return Err(InitError::Overlap(*a, *b));
        }
    }
    Ok(())
}

/// How many bytes the books of all banks, the banks and their spans take.
fn books_length(layout: &Layout<'_>, count: usize) -> u64 {
    let books: usize = layout
        .banks
        .iter()
        .filter_map(|bank| whole_pages(*bank))
        .map(|bank| Buddy::metadata_bytes(Bank::frames(bank)).next_multiple_of(8))
        .sum();
    let lists = count * (size_of::<Bank>() + size_of::<Span<Hpa>>());
    ((books + lists) as u64).next_multiple_of(PAGE_SIZE)
}

/// The first room that is large enough, above the image if there is any.
fn place_books(layout: &Layout<'_>, early: Span<Hpa>, length: u64) -> Result<Span<Hpa>, InitError> {
    let mut best: Option<Span<Hpa>> = None;
    each_free(layout, None, |piece| {
        let Some(piece) = intersection(piece, early).filter(|piece| piece.length() >= length) else { return };
        let is_above = |span: Span<Hpa>| span.base() > layout.image.base();
        let better = best.is_none_or(|best| (is_above(piece), best.base()) > (is_above(best), piece.base()));
        if better {
            best = Some(piece);
        }
    });
    best.and_then(|piece| Span::<Hpa>::new(piece.base(), length)).ok_or(InitError::NoRoom)
}

/// Makes the books of all banks in `room`, which is free RAM that start-up code mapped.
fn make_books(
    layout: &Layout<'_>,
    room: Span<Hpa>,
    count: usize,
) -> (&'static mut [Bank], &'static [Span<Hpa>]) {
    zero(room.base(), room.length());
    let start = Machine::address_of(room.base());
    let banks = start.cast::<MaybeUninit<Bank>>();
    let spans = start.wrapping_add(count * size_of::<Bank>()).cast::<MaybeUninit<Span<Hpa>>>();
    let mut meta = start.wrapping_add(count * (size_of::<Bank>() + size_of::<Span<Hpa>>()));
    // SAFETY: the room is free RAM of nobody, mapped, page aligned, as long as `books_length` says, and
    // kept for ever; the two lists and the books lie in it one after the other.
    let (banks, spans) = unsafe {
        (core::slice::from_raw_parts_mut(banks, count), core::slice::from_raw_parts_mut(spans, count))
    };
    let usable = layout.banks.iter().filter_map(|bank| whole_pages(*bank));
    for ((bank, kept), span) in banks.iter_mut().zip(spans.iter_mut()).zip(usable) {
        let length = Buddy::metadata_bytes(Bank::frames(span)).next_multiple_of(8);
        // SAFETY: as above; it was zeroed, and nobody else has this part.
        let books = unsafe { core::slice::from_raw_parts_mut(meta, length) };
        meta = meta.wrapping_add(length);
        bank.write(Bank::new(span, books));
        kept.write(span);
    }
    // SAFETY: `count` is how many usable banks there are, and each was written.
    unsafe { (banks.assume_init_mut(), spans.assume_init_ref()) }
}

/// Makes free what is: of each piece the two parts that are asked for.
fn insert(
    layout: &Layout<'_>,
    books: Span<Hpa>,
    one: impl Fn(Span<Hpa>) -> Option<Span<Hpa>>,
    other: impl Fn(Span<Hpa>) -> Option<Span<Hpa>>,
) {
    each_free(layout, Some(books), |piece| {
        for part in [one(piece), other(piece)].into_iter().flatten() {
            // It cannot fail: pieces lie inside a bank and do not overlap. If it did, they would be unused.
            let _ = frames::insert(part);
        }
    });
}

/// Calls `with` for each run of pages that nothing is in: not the image, nothing reserved, not the books,
/// and not the page at address 0, so that no address of a frame is null.
fn each_free(layout: &Layout<'_>, books: Option<Span<Hpa>>, mut with: impl FnMut(Span<Hpa>)) {
    let zero_page = Span::<Hpa>::new(Hpa::new(0), PAGE_SIZE);
    let taken = || {
        layout
            .reserved
            .iter()
            .copied()
            .chain([layout.image])
            .chain(books)
            .chain(zero_page)
            .filter(|t| t.length() > 0)
    };
    for bank in layout.banks.iter().filter_map(|bank| whole_pages(*bank)) {
        let end = bank.base().get() + (bank.length() - PAGE_SIZE) + PAGE_SIZE;
        let mut at = bank.base().get();
        while at < end {
            // The first taken range at or after `at`: up to it, pages are free.
            let covering = taken().filter(|t| t.last().get() >= at).min_by_key(|t| t.base().get());
            let stop = covering.map_or(end, |t| t.base().align_down(PAGE_SIZE).get().clamp(at, end));
            if let Some(piece) = Span::<Hpa>::new(Hpa::new(at), stop - at)
                && stop > at
            {
                with(piece);
            }
            at = match covering {
                Some(t) if t.base().get() < end => {
                    t.last().align_down(PAGE_SIZE).get().saturating_add(PAGE_SIZE)
                }
                _ => end,
            };
        }
    }
}

/// What start-up code mapped around the image.
fn early(image: Span<Hpa>) -> Span<Hpa> {
    let base = image.base().align_down(MAPPED_EARLY);
    let last = image.last().get() | (MAPPED_EARLY - 1);
    Span::<Hpa>::new(base, (last - base.get()).saturating_add(1)).unwrap_or(image)
}

/// The pages that lie wholly inside, if there are any; the last page of the address space never is.
fn whole_pages(span: Span<Hpa>) -> Option<Span<Hpa>> {
    if span.length() == 0 {
        return None;
    }
    let start = span.base().get().checked_next_multiple_of(PAGE_SIZE)?;
    let end = span.last().get().checked_add(1)? & !(PAGE_SIZE - 1);
    non_empty(start, end)
}

fn non_empty(start: u64, end: u64) -> Option<Span<Hpa>> {
    if start < end { Span::<Hpa>::new(Hpa::new(start), end - start) } else { None }
}

fn intersection(a: Span<Hpa>, b: Span<Hpa>) -> Option<Span<Hpa>> {
    if !a.overlaps(&b) {
        return None;
    }
    let start = a.base().max(b.base());
    let last = a.last().min(b.last());
    Span::<Hpa>::new(start, last.get() - start.get() + 1)
}

/// What of `a` lies below `b`.
fn below(a: Span<Hpa>, b: Span<Hpa>) -> Option<Span<Hpa>> {
    non_empty(a.base().get(), b.base().get().min(a.last().get() + 1))
}

/// What of `a` lies above `b`.
fn above(a: Span<Hpa>, b: Span<Hpa>) -> Option<Span<Hpa>> {
    non_empty(a.base().get().max(b.last().get().checked_add(1)?), a.last().get() + 1)
}

/// Memory for tests.
#[cfg(not(target_os = "none"))]
pub(crate) fn hosted() {
    const BYTES: u64 = if cfg!(miri) { 12 << 20 } else { 128 << 20 };
    let bank = Machine::memory(BYTES);
    let image = Span::<Hpa>::new(bank.base(), PAGE_SIZE).unwrap_or(bank);
    // A test that has called `init` itself has its memory already.
    let _ = init(&Layout { banks: &[bank], reserved: &[], image });
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn span(base: u64, length: u64) -> Span<Hpa> {
        Span::<Hpa>::new(Hpa::new(base), length).unwrap()
    }

    fn free(banks: &[Span<Hpa>], reserved: &[Span<Hpa>], image: Span<Hpa>) -> Vec<(u64, u64)> {
        let mut pieces = Vec::new();
        each_free(&Layout { banks, reserved, image }, None, |piece| {
            pieces.push((piece.base().get(), piece.length()));
        });
        pieces
    }

    #[test]
    fn what_is_reserved_is_cut_out_to_whole_pages() {
        let pieces = free(
            &[span(0x4000_0000, 0x10_0000), span(0x8000_0800, 0x2800)],
            &[span(0x4000_1800, 0x10), span(0x4000_1000, 0x1801), span(0x8000_2000, 0x1_0000)],
            span(0x4008_0000, 0x1_0000),
        );
        assert_eq!(
            pieces,
            [(0x4000_0000, 0x1000), (0x4000_3000, 0x7_d000), (0x4009_0000, 0x7_0000), (0x8000_1000, 0x1000),]
        );
    }

    #[test]
    fn the_page_at_address_0_is_never_free() {
        assert_eq!(free(&[span(0, 0x3000)], &[], span(0x2000, 1)), [(0x1000, 0x1000)]);
    }

    #[test]
    fn a_range_that_is_taken_as_a_whole_leaves_nothing() {
        assert_eq!(free(&[span(0x1000, 0x1000)], &[span(0, 0x1_0000)], span(0x9000, 1)), []);
    }

    #[test]
    fn books_go_above_the_image_into_memory_that_is_mapped_early() {
        let layout = Layout {
            banks: &[span(0x4000_0000, 0x1_0000_0000), span(0x2000_0000, 0x1000_0000)],
            reserved: &[span(0x4020_0000, 0x1000)],
            image: span(0x4010_0000, 0x10_0000),
        };
        let place = |length| place_books(&layout, early(layout.image), length);
        assert_eq!(place(0x10_0000).unwrap().base().get(), 0x4020_1000);
        assert_eq!(place(0x4000_0000), Err(InitError::NoRoom));
        let cramped = Layout { banks: &[span(0x4000_0000, 0x20_0000)], ..layout };
        assert_eq!(place_books(&cramped, early(layout.image), 0x1000).unwrap().base().get(), 0x4000_0000);
    }

    #[test]
    fn early_memory_is_taken_out_of_a_piece_in_three_parts() {
        let piece = span(0x2000_0000, 0x1_0000_0000);
        let early = early(span(0x7fff_f000, 0x2000));
        assert_eq!(early, span(0x4000_0000, 0x8000_0000));
        assert_eq!(below(piece, early), Some(span(0x2000_0000, 0x2000_0000)));
        assert_eq!(intersection(piece, early), Some(span(0x4000_0000, 0x8000_0000)));
        assert_eq!(above(piece, early), Some(span(0xc000_0000, 0x6000_0000)));
    }

    #[test]
    fn nonsense_is_refused() {
        let image = span(0x4000_0000, 0x1000);
        let init = |banks: &[Span<Hpa>]| check(&Layout { banks, reserved: &[], image });
        assert_eq!(init(&[]), Err(InitError::NoRam));
        assert_eq!(init(&[span(0x4000_0001, 0x1000)]), Err(InitError::NoRam));
        let (a, b) = (span(0x4000_0000, 0x2000), span(0x4000_1000, 0x2000));
        assert_eq!(init(&[a, b]), Err(InitError::Overlap(a, b)));
    }
}
