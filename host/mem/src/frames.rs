//! The frame allocator: one set of books per bank of RAM.

use core::ops::Range;

use addr::{Hpa, PAGE_SHIFT, PAGE_SIZE, Span};
use alloc::vec::Vec;
use arch::TableFrames;
use buddy::{BadFree, Buddy, MAX_ORDER};
use host_sync::{IrqOff, Rank, Spin};

use crate::error::NoMemory;
use crate::owned::zero;

/// A bank of RAM.
pub(crate) struct Bank {
    span: Span<Hpa>,
    /// The frame that the books count from: that of the bank, aligned down to the largest block, so that
    /// a block of any order is aligned in memory as it is in the books.
    first: u64,
    books: Buddy<'static>,
}

/// Frames between two places that the books' indices are aligned to.
const ALIGNMENT: u64 = 1 << MAX_ORDER;

impl Bank {
    /// How many frames the books of a bank are over.
    pub(crate) fn frames(span: Span<Hpa>) -> usize {
        let first = first_frame(span);
        (end_frame(span) - first) as usize
    }

    /// A bank of which nothing is free yet. `meta` is zeroed and at least as long as `Buddy` says for
    /// [`Bank::frames`].
    pub(crate) fn new(span: Span<Hpa>, meta: &'static mut [u8]) -> Self {
        Self { span, first: first_frame(span), books: Buddy::new(meta, Self::frames(span)) }
    }

    /// The span's place in the books, if it lies in this bank.
    fn range(&self, span: Span<Hpa>) -> Option<Range<usize>> {
        if !self.span.contains_all(span.base(), span.length()) {
            return None;
        }
        let start = (span.base().get() >> PAGE_SHIFT) - self.first;
        Some(start as usize..(start + (span.length() >> PAGE_SHIFT)) as usize)
    }

    fn address(&self, index: usize) -> Hpa {
        Hpa::new((self.first + index as u64) << PAGE_SHIFT)
    }
}

fn first_frame(span: Span<Hpa>) -> u64 {
    (span.base().get() >> PAGE_SHIFT) & !(ALIGNMENT - 1)
}

fn end_frame(span: Span<Hpa>) -> u64 {
    (span.base().get() >> PAGE_SHIFT) + (span.length() >> PAGE_SHIFT)
}

/// All banks; the first one is asked first.
pub(crate) struct Allocator {
    banks: &'static mut [Bank],
    /// Frames that were ever made free: RAM without the image, the books and what stays reserved.
    total: u64,
    image: Span<Hpa>,
}

static FRAMES: Spin<Allocator, IrqOff> =
    Spin::ranked(Allocator { banks: &mut [], total: 0, image: EMPTY }, Rank::Frames);

impl Allocator {
    fn insert(&mut self, span: Span<Hpa>) -> Result<(), NoMemory> {
        for bank in self.banks.iter_mut() {
            if let Some(range) = bank.range(span) {
                bank.books.insert(range).map_err(|_| NoMemory)?;
                self.total += span.length() >> PAGE_SHIFT;
                return Ok(());
            }
        }
        Err(NoMemory)
    }

    fn keep(&mut self, span: Span<Hpa>) -> Result<(), NoMemory> {
        let place = self.banks.iter_mut().find_map(|bank| bank.range(span).map(|range| (bank, range)));
        let (bank, range) = place.ok_or(NoMemory)?;
        // Only what was neither free nor allocated can be made free: nobody has it.
        bank.books.insert(range.clone()).map_err(|_| NoMemory)?;
        bank.books.allocate_range(range).map_err(|_| NoMemory)
    }

    fn take(&mut self, order: u8) -> Option<Hpa> {
        let order = usize::from(order);
        if order > MAX_ORDER {
            return None;
        }
        self.banks.iter_mut().find_map(|bank| bank.books.allocate(order).map(|index| bank.address(index)))
    }

    fn take_pages(&mut self, pages: usize) -> Option<Hpa> {
        let order = pages.checked_next_power_of_two()?.trailing_zeros() as usize;
        if order > MAX_ORDER {
            return None;
        }
        self.banks.iter_mut().find_map(|bank| {
            let index = bank.books.allocate(order)?;
            // The rest of the block stays free: these very pages are taken in its place.
            bank.books.free(index, order).ok()?;
            bank.books.allocate_range(index..index + pages).ok()?;
            Some(bank.address(index))
        })
    }

    fn give(
        &mut self,
        span: Span<Hpa>,
        how: impl FnOnce(&mut Buddy<'static>, Range<usize>) -> Result<(), BadFree>,
    ) {
        let place = self.banks.iter_mut().find_map(|bank| bank.range(span).map(|range| (bank, range)));
        let result = place.map_or(Err(BadFree::Misplaced), |(bank, range)| how(&mut bank.books, range));
        // Only the owners in this crate give anything back. If one of them gives what is not his, memory
        // is in two hands, and nothing that runs can be trusted.
        if let Err(why) = result {
            panic!("frames {span} were given back, but: {why}");
        }
    }
}

/// Whether there are banks already.
pub(crate) fn is_started() -> bool {
    !FRAMES.lock().banks.is_empty()
}

/// Starts with these banks, of which nothing is free yet.
pub(crate) fn start(banks: &'static mut [Bank], image: Span<Hpa>) {
    let mut frames = FRAMES.lock();
    frames.banks = banks;
    frames.image = image;
}

/// Makes whole pages of RAM free that were not.
pub(crate) fn insert(span: Span<Hpa>) -> Result<(), NoMemory> {
    FRAMES.lock().insert(span)
}

/// Takes whole pages of RAM for good that were never free.
pub(crate) fn keep(span: Span<Hpa>) -> Result<(), NoMemory> {
    FRAMES.lock().keep(span)
}

/// Takes 2^`order` frames, aligned to their size, with whatever they contain.
pub(crate) fn take(order: u8) -> Result<Hpa, NoMemory> {
    start_on_demand();
    FRAMES.lock().take(order).ok_or(NoMemory)
}

/// Gives back what [`take`] gave.
pub(crate) fn give(base: Hpa, order: u8) {
    let span = span_of(base, PAGE_SIZE << order);
    FRAMES.lock().give(span, |books, range| books.free(range.start, usize::from(order)));
}

/// Takes `pages` frames in a row.
pub(crate) fn take_pages(pages: usize) -> Result<Hpa, NoMemory> {
    start_on_demand();
    FRAMES.lock().take_pages(pages).ok_or(NoMemory)
}

/// Gives back what [`take_pages`] gave.
pub(crate) fn give_pages(base: Hpa, pages: usize) {
    let span = span_of(base, (pages as u64) << PAGE_SHIFT);
    FRAMES.lock().give(span, |books, range| books.free_range(range));
}

/// The order of the largest free block.
pub(crate) fn largest_free_order() -> Option<u8> {
    start_on_demand();
    let frames = FRAMES.lock();
    frames.banks.iter().filter_map(|bank| bank.books.largest_free_order()).max().map(|order| order as u8)
}

fn span_of(base: Hpa, length: u64) -> Span<Hpa> {
    Span::<Hpa>::new(base, length).unwrap_or(EMPTY)
}

const EMPTY: Span<Hpa> = match Span::<Hpa>::new(Hpa::new(0), 0) {
    Some(empty) => empty,
    None => unreachable!(),
};

/// On the development machine every test has memory, without asking for it.
#[cfg(not(target_os = "none"))]
fn start_on_demand() {
    static STARTED: host_sync::Once<()> = host_sync::Once::new();
    STARTED.get_or_init(crate::start::hosted);
}

#[cfg(target_os = "none")]
fn start_on_demand() {}

/// How many frames are free.
pub fn free_frames() -> u64 {
    start_on_demand();
    FRAMES.lock().banks.iter().map(|bank| bank.books.free_frames() as u64).sum()
}

/// Whether any of the span is RAM.
pub fn is_ram(span: Span<Hpa>) -> bool {
    FRAMES.lock().banks.iter().any(|bank| bank.span.overlaps(&span))
}

/// Whether all of the span is RAM of one bank, and mapped therefore.
pub(crate) fn is_all_ram(span: Span<Hpa>) -> bool {
    FRAMES.lock().banks.iter().any(|bank| bank.span.contains_all(span.base(), span.length()))
}

/// Whether any of the span is our own image, most of which is mapped as constant.
pub(crate) fn is_image(span: Span<Hpa>) -> bool {
    FRAMES.lock().image.overlaps(&span)
}

/// How much memory there is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stats {
    /// Frames that the allocator has, free or not.
    pub total_frames: u64,
    /// Frames that are free.
    pub free_frames: u64,
    /// The banks of RAM.
    pub banks: Vec<BankStats>,
}

/// How much memory there is in a bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BankStats {
    /// Where it lies.
    pub span: Span<Hpa>,
    /// Frames that are free.
    pub free_frames: u64,
    /// Free blocks of each order: of 1 frame, of 2, of 4, …
    pub free_blocks: [usize; MAX_ORDER + 1],
}

/// How much memory there is.
pub fn stats() -> Stats {
    start_on_demand();
    // The vector gets its room first: growing it takes frames, whose lock is held below.
    let count = FRAMES.lock().banks.len();
    let mut banks = Vec::with_capacity(count);
    let frames = FRAMES.lock();
    banks.extend(frames.banks.iter().map(|bank| BankStats {
        span: bank.span,
        free_frames: bank.books.free_frames() as u64,
        free_blocks: core::array::from_fn(|order| bank.books.free_blocks(order)),
    }));
    let free_frames = banks.iter().map(|bank| bank.free_frames).sum();
    Stats { total_frames: frames.total, free_frames, banks }
}

/// Frames for page tables, of the host and of guests.
struct Tables;

impl TableFrames for Tables {
    fn take(&self, order: u8) -> Option<Hpa> {
        let base = take(order).ok()?;
        zero(base, PAGE_SIZE << order);
        Some(base)
    }
    fn give(&self, table: Hpa, order: u8) {
        give(table, order);
    }
}

/// Where page tables take their memory: those of the host and those of guests.
pub fn tables() -> &'static dyn TableFrames {
    &Tables
}
