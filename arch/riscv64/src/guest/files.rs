//! Interrupt files for guests (AIA 1.0, chapter 3, and 6.3.3 for what the guest sees). A virtual CPU that has a file of
//! messages takes one of the hart's when it is loaded, if one is free: then messages of other CPUs and of devices reach
//! it without anybody's help. It keeps the file while it waits and while others run on the hart, and gives it back
//! before it goes on elsewhere. Where none is free, it takes that of the one who did not run for the longest time, if that
//! was long ([`IDLE`]).
//!
//! *Taking:* the hart's file is emptied; the one in software hands over what it holds, and passes on what comes to it
//! from then on; what it held is added to what has come meanwhile; last, the page is mapped.
//!
//! *Giving back:* the page is unmapped, and all harts forget it, so that the guest's stores trap and come to the
//! software, which passes them on still; then, with the software's lock held, the hart's file is read. So each message
//! has one place to go to at any time, and the place is read after the last one went there.

use core::cell::Cell;
use core::sync::atomic::{AtomicBool, Ordering};

use addr::{Hpa, PAGE_SIZE, Span};
use arch_api::{Clock, FileImage, FilePage, GuestSpace, MessageFile, Nanos, Rights};
use atomic::Arc;

use super::gstage::GStage;
use super::vcpu::State;
use crate::Riscv64;
use crate::cpu::PerCpu;
use crate::csr::{clear_bits, get, hstatus, pending, set, set_bits};

/// A hart has no more (`hgeie` has one bit for each, but for the first).
const MOST: usize = 63;

/// Numbers of a file's registers, as `vsiselect` holds them (AIA, 3.8).
mod select {
    pub(super) const DELIVERY: u64 = 0x70;
    pub(super) const THRESHOLD: u64 = 0x72;
    pub(super) const PENDING: u64 = 0x80;
    pub(super) const ENABLED: u64 = 0xc0;
}

/// Who did not run for so long may lose its file to who runs. To hand one over costs some thousand instructions, and each
/// hart a fence.
const IDLE: Nanos = Nanos::from_millis(10);

/// Who waits for a file that may lose its signal looks again after so long.
const LOOK: Nanos = Nanos::from_millis(50);

/// Whether files may lose their signal ([`Files::look_again`]).
static LOSE_SIGNALS: AtomicBool = AtomicBool::new(false);

/// The machine is QEMU's.
pub(crate) fn doubt_signals() {
    LOSE_SIGNALS.store(true, Ordering::Relaxed);
}

/// The files of one CPU, numbered from 1.
pub(crate) struct Files {
    /// Where the page of file 1 is.
    first: Cell<u64>,
    count: Cell<u32>,
    /// The highest identity.
    highest: Cell<u32>,
    /// Who has which.
    holders: [Cell<*mut State>; MOST],
}

impl core::fmt::Debug for Files {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Files").field("count", &self.count.get()).finish_non_exhaustive()
    }
}

impl Files {
    pub(crate) const fn none() -> Self {
        Self {
            first: Cell::new(0),
            count: Cell::new(0),
            highest: Cell::new(0),
            holders: [const { Cell::new(core::ptr::null_mut()) }; MOST],
        }
    }

    /// Names the files of the asking CPU: as many as both its memory and the hart have.
    pub(super) fn set(&self, first: Hpa, count: u32, highest: u32) {
        // SAFETY: which files of guests interrupt us; nobody has one that does.
        unsafe { set!("hgeie", u64::MAX) };
        let implemented = get!("hgeie");
        // SAFETY: as above.
        unsafe { set!("hgeie", 0) };
        self.first.set(first.get());
        self.count.set(count.min(implemented.count_ones()).min(MOST as u32));
        self.highest.set(highest);
        self.listen();
    }

    /// Lets guests' files interrupt us, those that somebody waits for.
    pub(super) fn listen(&self) {
        if self.count.get() != 0 {
            // SAFETY: its handler is there, or it is reported once.
            unsafe { set_bits!("hie", pending::SGEI) };
        }
    }

    /// A file that nobody has, if need be because it is taken from who did not run for long. Nobody is loaded.
    fn free(&self) -> Option<u32> {
        let mut longest = (IDLE, None);
        for (number, holder) in (1..=self.count.get()).zip(&self.holders) {
            // SAFETY: as in `give_all_back`.
            let Some(state) = (unsafe { holder.get().as_mut() }) else { return Some(number) };
            let idle = state.file.as_ref().map_or(Nanos(0), OwnFile::idle);
            if idle >= longest.0 {
                longest = (idle, Some((number, state)));
            }
        }
        let (number, state) = longest.1?;
        state.give_file_back(self);
        Some(number)
    }

    fn holder(&self, number: u32) -> Option<&Cell<*mut State>> {
        self.holders.get(number.checked_sub(1)? as usize)
    }

    fn page(&self, number: u32) -> Hpa {
        Hpa::new(self.first.get() + u64::from(number - 1) * PAGE_SIZE)
    }

    /// Takes the files from all that have one; on this CPU with interrupts masked.
    pub(super) fn give_all_back(&self) {
        for holder in self.holders.iter().take(self.count.get() as usize) {
            // SAFETY: who has a file lives and is where it was: its drop gives the file back. It does not run, since
            // we do.
            if let Some(state) = unsafe { holder.get().as_mut() } {
                state.give_file_back(self);
            }
        }
    }

    /// Has the files that somebody has say once more whether there is something in them. A file of QEMU's 10 can lose its
    /// signal in `hgeip` when another one of its hart changes at the same moment (a hundred times in a minute of
    /// `messages-on-the-move`); to read a register sets that right. Where nobody would have a reason to look, since one CPU
    /// runs and does not leave its guest while another one waits, time is one ([`OwnFile::looks_at`]).
    pub(super) fn look_again(&self) {
        for (number, holder) in (1..=self.count.get()).zip(&self.holders) {
            if !holder.get().is_null() {
                look_again(number);
            }
        }
    }

    /// A file interrupted us that somebody waits for: that one is woken, and does not wait any more.
    pub(super) fn rang(&self) {
        let mut rang = get!("hgeip") & get!("hgeie");
        // SAFETY: those were for the ones who are woken now.
        unsafe { clear_bits!("hgeie", rang) };
        while rang != 0 {
            let number = rang.trailing_zeros();
            rang &= rang - 1;
            let Some(holder) = self.holder(number) else { continue };
            // SAFETY: as in `give_all_back`.
            if let Some(state) = unsafe { holder.get().as_ref() } {
                state.wake();
            }
        }
    }
}

/// A virtual CPU's file of messages, wherever it is.
pub(super) struct OwnFile {
    file: Arc<dyn MessageFile>,
    /// The highest identity in it.
    highest: u32,
    /// The number of the hart's file that it has; 0 while it is in software.
    number: u32,
    /// Where the page is mapped while it has one.
    space: *const GStage,
    /// It waits, and the file interrupts us.
    waits: Cell<bool>,
    /// When its CPU was taken out of the hardware last.
    left: Nanos,
}

impl OwnFile {
    pub(super) fn new(file: Arc<dyn MessageFile>) -> Self {
        let highest = file.highest();
        Self { file, highest, number: 0, space: core::ptr::null(), waits: Cell::new(false), left: Nanos(0) }
    }

    /// The number of the hart's file; 0 for none.
    #[inline]
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Whether the hart's file has something for its CPU.
    pub(super) fn is_pending(&self) -> bool {
        self.number != 0 && get!("hgeip") >> self.number & 1 != 0
    }

    /// See [`Files::look_again`].
    pub(super) fn look_again(&self) {
        if self.number != 0 {
            look_again(self.number);
        }
    }

    /// When its CPU, which waits, is to look again whatever the file says.
    pub(super) fn looks_at(&self) -> Option<Nanos> {
        (self.number != 0 && LOSE_SIGNALS.load(Ordering::Relaxed)).then(|| Riscv64::now().after(LOOK))
    }

    /// Its CPU was taken out of the hardware.
    pub(super) fn left(&mut self) {
        if self.number != 0 {
            self.left = Riscv64::now();
        }
    }

    /// For how long its CPU is out of the hardware.
    fn idle(&self) -> Nanos {
        Nanos(Riscv64::now().0.saturating_sub(self.left.0))
    }

    /// Its CPU begins to wait: what comes interrupts us, once.
    pub(super) fn wait(&self) {
        if self.number != 0 {
            self.waits.set(true);
            // SAFETY: its handler wakes who has the file.
            unsafe { set_bits!("hgeie", 1 << self.number) };
        }
    }

    /// It does not wait any more.
    #[inline]
    pub(super) fn go_on(&self) {
        if self.waits.replace(false) {
            // SAFETY: the guest takes what comes itself.
            unsafe { clear_bits!("hgeie", 1 << self.number) };
        }
    }

    /// Takes one of the hart's files, if there is one for it. Says whether.
    // Most virtual CPUs have none, and are to pass by quickly.
    #[inline(never)]
    pub(super) fn take(&mut self, files: &Files, holder: *mut State, space: &GStage) -> bool {
        if self.number != 0 || self.highest > files.highest.get() {
            return false;
        }
        let Some(number) = files.free() else { return false };
        let page = files.page(number);
        let words = u64::from(files.highest.get() / 64);
        with(number, || empty(words));
        let mut image = FileImage::EMPTY;
        // SAFETY: a file of this hart's, whose registers are mapped for us (`VirtualInterface::Files`).
        self.file.lend(unsafe { FilePage::new(page) }, &mut image);
        with(number, || fill(&image, words));
        let span = Span::<Hpa>::new(page, PAGE_SIZE);
        // SAFETY: the page is a guest's file, which is this one's alone until it is unmapped.
        let mapped = span.map(|span| unsafe { space.map(self.file.page(), span, Rights::Registers) });
        if !matches!(mapped, Some(Ok(()))) {
            self.file.take_back(&mut |image| with(number, || read(image, words)));
            return false;
        }
        if let Some(place) = files.holder(number) {
            place.set(holder);
        }
        self.number = number;
        self.space = space;
        true
    }

    /// Gives it back. Says whether there was one.
    pub(super) fn give_back(&mut self, files: &Files) -> bool {
        if self.number == 0 {
            return false;
        }
        self.go_on();
        let (number, words) = (self.number, u64::from(files.highest.get() / 64));
        // SAFETY: the map lives as long as any CPU of its guest.
        if let Some(space) = unsafe { self.space.as_ref() }
            && let Some(page) = Span::<addr::Gpa>::new(self.file.page(), PAGE_SIZE)
        {
            // One page was mapped: no table has to be made to take it away.
            let _ = space.unmap(page);
        }
        // SAFETY: a barrier: no store of this hart to the page is under way.
        unsafe { core::arch::asm!("fence iorw, iorw", options(nostack, preserves_flags)) };
        self.file.take_back(&mut |image| with(number, || read(image, words)));
        with(number, || empty(words));
        if let Some(place) = files.holder(number) {
            place.set(core::ptr::null_mut());
        }
        self.number = 0;
        true
    }
}

/// Does something with the hart's file `number` behind `vsiselect` and `vsireg`.
fn with<T>(number: u32, body: impl FnOnce() -> T) -> T {
    let (status, selected) = (get!("hstatus"), get!("vsiselect"));
    // SAFETY: interrupts are masked, no guest runs, and both are put back.
    unsafe { set!("hstatus", status & !hstatus::VGEIN | u64::from(number) << hstatus::VGEIN_SHIFT) };
    let result = body();
    // SAFETY: as they were.
    unsafe {
        set!("vsiselect", selected);
        set!("hstatus", status);
    }
    result
}

/// See [`Files::look_again`].
fn look_again(number: u32) {
    with(number, || {
        select(select::THRESHOLD);
        get!("vsireg")
    });
}

fn select(register: u64) {
    // SAFETY: says which register the next access is about (`with`).
    unsafe { set!("vsiselect", register) };
}

fn write(register: u64, value: u64) {
    select(register);
    // SAFETY: a register of a guest's file.
    unsafe { set!("vsireg", value) };
}

/// Nothing is delivered, enabled or pending.
fn empty(words: u64) {
    write(select::DELIVERY, 0);
    write(select::THRESHOLD, 0);
    for word in 0..=words {
        write(select::ENABLED + 2 * word, 0);
        write(select::PENDING + 2 * word, 0);
    }
}

fn fill(image: &FileImage, words: u64) {
    write(select::THRESHOLD, image.threshold.into());
    for (word, (enabled, pending)) in (0..=words).zip(image.enabled.iter().zip(&image.pending)) {
        write(select::ENABLED + 2 * word, *enabled);
        if *pending != 0 {
            select(select::PENDING + 2 * word);
            // SAFETY: added to what has come meanwhile.
            unsafe { set_bits!("vsireg", *pending) };
        }
    }
    write(select::DELIVERY, image.delivers.into());
}

fn read(image: &mut FileImage, words: u64) {
    select(select::DELIVERY);
    image.delivers = get!("vsireg") == 1;
    select(select::THRESHOLD);
    image.threshold = get!("vsireg") as u32;
    for (word, (enabled, pending)) in (0..=words).zip(image.enabled.iter_mut().zip(&mut image.pending)) {
        select(select::ENABLED + 2 * word);
        *enabled = get!("vsireg");
        select(select::PENDING + 2 * word);
        *pending = get!("vsireg");
    }
}

impl State {
    /// Takes a file of the CPU's, if it has one to put there; before it is put into the hardware.
    #[inline(always)]
    pub(super) fn take_file(&mut self, cpu: &PerCpu, space: &GStage) {
        let holder: *mut Self = self;
        if let Some(own) = &mut self.file
            && own.take(&cpu.files, holder, space)
        {
            self.hstatus |= u64::from(own.number()) << hstatus::VGEIN_SHIFT;
        }
    }

    /// Gives it back; after it was taken out of the hardware.
    pub(super) fn give_file_back(&mut self, files: &Files) {
        if let Some(own) = &mut self.file
            && own.give_back(files)
        {
            self.hstatus &= !hstatus::VGEIN;
        }
    }
}
