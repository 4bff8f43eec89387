//! Few numbers for many guests: a number comes to another guest only when no CPU remembers anything of the last one.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::boxed::Box;
use std::sync::Mutex;
use std::vec::Vec;

use arch_api::{IrqEntry, Nesting};
use isa_paging::{RvAttributes, RvFormat, RvMemory, RvMode};

use super::*;

/// What was done, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Done {
    Load(u64),
    Invalidate { vmid: u64, virt: u64, len: u64 },
    ForgetAll,
    Give,
}

std::thread_local! {
    static DONE: core::cell::RefCell<Vec<Done>> = const { core::cell::RefCell::new(Vec::new()) };
}

fn done(what: Done) {
    DONE.with_borrow_mut(|list| list.push(what));
}

fn take_done() -> Vec<Done> {
    DONE.take()
}

/// A processor with so many VMIDs, whose register shows the VMID from bit 44 on.
#[derive(Debug)]
struct Few<const VMIDS: u64>;

impl<const VMIDS: u64> Cpu for Few<VMIDS> {
    fn mask_irqs() -> bool {
        false
    }
    unsafe fn unmask_irqs() {}
    fn nesting(_: &IrqsOff<Self>) -> &'static Nesting {
        std::thread_local! {
            static NESTING: &'static Nesting = Box::leak(Box::new(Nesting::new()));
        }
        NESTING.with(|nesting| *nesting)
    }
    fn wait(_: &IrqsOff<Self>) {}
    fn relax() {}
    fn id(_: &IrqsOff<Self>) -> CpuId {
        CpuId(0)
    }
    fn halt() -> ! {
        unreachable!("nobody stops in a test")
    }
    fn on_interrupt(_: IrqEntry<Self>) {}
}

impl<const VMIDS: u64> GuestRegime for Few<VMIDS> {
    type Format = RvFormat;
    fn format() -> Option<RvFormat> {
        Some(RvFormat::guest(RvMode::Sv39))
    }
    fn attributes(_: Rights) -> RvAttributes {
        RvAttributes { write: true, execute: true, memory: RvMemory::Physical }
    }
    fn vmids() -> u64 {
        VMIDS
    }
    fn processors() -> usize {
        1
    }
    fn register(format: &RvFormat, root: Hpa, vmid: u64) -> u64 {
        format.register(root, vmid as u16)
    }
    fn order() {}
    fn publish(_: Option<u64>, _: u64, _: u64) {}
    fn invalidate(register: u64, virt: u64, len: u64) {
        done(Done::Invalidate { vmid: vmid(register), virt, len });
    }
    fn load(register: u64, _: &IrqsOff<Self>) {
        done(Done::Load(vmid(register)));
    }
    fn forget_own_tables(_: &IrqsOff<Self>) {}
    fn forget_all(_: &IrqsOff<Self>) {
        done(Done::ForgetAll);
    }
}

fn vmid(hgatp: u64) -> u64 {
    hgatp >> 44 & 0x3fff
}

/// Frames of this program's own memory, counted.
struct Counted(Mutex<usize>);

fn layout(order: u8) -> Layout {
    Layout::from_size_align(4096 << order, 4096 << order).unwrap()
}

impl TableFrames for Counted {
    fn take(&self, order: u8) -> Option<Hpa> {
        *self.0.lock().unwrap() += 1 << order;
        // SAFETY: the size is not zero.
        Some(Hpa::new(unsafe { alloc_zeroed(layout(order)) } as u64))
    }
    fn give(&self, table: Hpa, order: u8) {
        done(Done::Give);
        *self.0.lock().unwrap() -= 1 << order;
        // SAFETY: `take` allocated it so.
        unsafe { dealloc(table.get() as *mut u8, layout(order)) };
    }
}

fn frames() -> &'static Counted {
    Box::leak(Box::new(Counted(Mutex::new(0))))
}

/// On a CPU of the test's own: what CPUs remember is one book for all tests.
fn load<R: GuestRegime>(map: &GuestMap<R>, cpu: u32) {
    map.load(0, CpuId(cpu), &IrqsOff::now());
}

/// The numbers of all maps of a program are one set: this is the only test here that takes some.
#[test]
fn a_number_is_given_again_when_nobody_remembers_its_guest_and_without_one_number_0_is_shared() {
    let frames = frames();
    let new = || GuestMap::<Few<3>>::new(frames).unwrap();
    let mut maps: Vec<_> = (0..4).map(|_| new()).collect();
    for _ in 0..2 {
        maps.iter().for_each(|map| load(map, 0));
        let shared = [Done::Load(0), Done::ForgetAll];
        let own = [1, 2].map(Done::Load);
        assert_eq!(take_done(), [own, shared, shared].concat(), "those that share forget each time");
    }

    // Everything is forgotten before the tables and the number get other owners.
    drop(maps.remove(1));
    assert_eq!(take_done(), [Done::Invalidate { vmid: 2, virt: 0, len: u64::MAX }, Done::Give]);
    let again = new();
    load(&again, 0);
    assert_eq!(take_done(), [Done::Load(2)]);
    // Also those of one that shares its number, which it does not give back.
    drop(maps.remove(1));
    assert_eq!(take_done(), [Done::Invalidate { vmid: 0, virt: 0, len: u64::MAX }, Done::Give]);
    let more = new();
    load(&more, 0);
    assert_eq!(take_done(), [Done::Load(0), Done::ForgetAll]);

    // One that never ran left nothing to forget; its number comes back all the same. Far more guests than numbers.
    drop(again);
    take_done();
    for _ in 0..20_000 {
        assert_eq!(new().vmid, 2);
    }
    assert!(take_done().iter().all(|what| *what == Done::Give));
    drop((maps, more));
    assert_eq!(*frames.0.lock().unwrap(), 0);
}

#[test]
fn without_numbers_everything_is_forgotten_whenever_guests_change() {
    let frames = frames();
    let maps: Vec<_> = (0..3).map(|_| GuestMap::<Few<1>>::new(frames).unwrap()).collect();
    maps.iter().for_each(|map| load(map, 1));
    let each = [Done::Load(0), Done::ForgetAll];
    assert_eq!(take_done(), [each, each, each].concat());
}
