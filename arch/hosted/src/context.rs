//! Threads: threads of the operating system that hand a baton to each other.
//!
//! A thread that was left for good cannot be unwound from outside. What it leaves of its thread of the operating
//! system is used again: the next one of the same test begins on top of its stack.
#![expect(unsafe_code, reason = "the contract hands out raw pointers to what is saved")]

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::{String, ToString};
use std::sync::{Condvar, Mutex, Once, PoisonError};

use arch_api::{Context, CpuId, IrqsOff};
use atomic::Arc;

use crate::Hosted;
use crate::cpu::{self, Handed};

/// Virtual memory for the stack of a prepared thread; untouched pages cost nothing.
const STACK: usize = 2 << 20;

/// Threads of the operating system that were left for good, by the machine that they were made for.
static FREE: Mutex<BTreeMap<CpuId, Vec<Arc<Baton>>>> = Mutex::new(BTreeMap::new());

/// What a thread waits for: a processor to run on.
#[derive(Default)]
pub(crate) struct Baton {
    hand: Mutex<Option<Given>>,
    handed: Condvar,
    /// The machine that the thread was made for; not the test's own thread, nor a processor's first.
    made_for: Option<CpuId>,
}

/// The processor, and what is to begin there if the thread that waited was left for good.
struct Given(Handed, Option<Fresh>);

/// A thread that begins.
struct Fresh {
    baton: Arc<Baton>,
    entry: extern "C-unwind" fn(usize) -> !,
    argument: usize,
}

impl Baton {
    fn give(&self, cpu: Handed) {
        self.pass(Given(cpu, None));
    }

    fn pass(&self, given: Given) {
        *cpu::lock(&self.hand) = Some(given);
        self.handed.notify_one();
    }

    fn take(&self) -> Given {
        let mut hand = cpu::lock(&self.hand);
        loop {
            if let Some(given) = hand.take() {
                return given;
            }
            hand = self.handed.wait(hand).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A thread that does not run.
#[derive(Default)]
pub struct Saved(Inner);

#[derive(Default)]
enum Inner {
    /// It runs.
    #[default]
    Away,
    /// It was never run; it has no thread of the operating system yet.
    Prepared { entry: extern "C-unwind" fn(usize) -> !, argument: usize },
    /// It waits for this baton.
    Left(Arc<Baton>),
}

impl Drop for Saved {
    fn drop(&mut self) {
        if let Inner::Left(baton) = core::mem::take(&mut self.0)
            && let Some(machine) = baton.made_for
        {
            cpu::lock(&FREE).entry(machine).or_default().push(baton);
        }
    }
}

std::thread_local! {
    /// What this thread's last panic said.
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
    /// The baton of this thread.
    static OWN: RefCell<Option<Arc<Baton>>> = const { RefCell::new(None) };
}

/// This thread's baton. The first one on a processor that asks is the test's own thread.
fn own() -> Arc<Baton> {
    OWN.with_borrow_mut(|own| {
        Arc::clone(own.get_or_insert_with(|| {
            let baton = Arc::new(Baton::default());
            *cpu::here().root.borrow_mut() = Some(Arc::clone(&baton));
            baton
        }))
    })
}

/// Waits until a processor comes, and goes on there.
fn resume(baton: &Baton) {
    let Given(cpu, fresh) = baton.take();
    cpu::run_on(cpu);
    if let Some(fresh) = fresh {
        fresh.run();
        // It panicked. What is below on this stack must not go on.
        loop {
            std::thread::park();
        }
    }
    let cpu = cpu::here();
    let root = cpu.root.borrow().as_ref().is_some_and(|root| core::ptr::eq(&**root, baton));
    if root {
        let casualty = cpu.casualty.borrow_mut().take();
        if let Some(how) = casualty {
            // The guards that are counted were the other thread's; a switch has one.
            cpu.nesting.exchange(1, false);
            cpu.nesting.preempt_off().set(0);
            cpu.nesting.resched().set(false);
            panic!("a thread of this test panicked: {how}");
        }
    }
}

/// A prepared thread panicked: without more, the test that it belongs to would wait for ever. Hands the
/// processor to the thread that the harness waits for, with what was said.
fn tell_the_test() {
    let Some(baton) = OWN.try_with(|own| own.try_borrow().ok().and_then(|own| own.clone())).ok().flatten()
    else {
        return;
    };
    let cpu = cpu::here();
    let Ok(root) = cpu.root.try_borrow().map(|root| root.clone()) else { return };
    let Some(root) = root.filter(|root| !Arc::ptr_eq(root, &baton)) else { return };
    if let Ok(mut casualty) = cpu.casualty.try_borrow_mut() {
        *casualty = Some(SAID.take().unwrap_or_default());
    }
    root.give(Handed(cpu));
}

fn watch_panics() {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            before(info);
            // The hook must return: who is kept in it keeps the harness from ending.
            let said = info.to_string();
            let _ = SAID.try_with(|last| last.replace(Some(said)));
        }));
    });
}

impl Fresh {
    /// Comes back if it panicked.
    fn run(self) {
        let Self { baton, entry, argument } = self;
        OWN.set(Some(baton));
        if catch_unwind(AssertUnwindSafe(|| entry(argument))).is_err() {
            tell_the_test();
        }
    }
}

/// Begins a thread, on this processor.
fn begin(entry: extern "C-unwind" fn(usize) -> !, argument: usize) {
    watch_panics();
    let cpu = cpu::here();
    let baton = Arc::new(Baton { made_for: Some(cpu.machine), ..Baton::default() });
    let given = Given(Handed(cpu), Some(Fresh { baton, entry, argument }));
    let free = cpu::lock(&FREE).get_mut(&cpu.machine).and_then(Vec::pop);
    if let Some(free) = free {
        return free.pass(given);
    }
    std::thread::Builder::new()
        .stack_size(STACK)
        .spawn(move || {
            let Given(cpu, fresh) = given;
            cpu::run_on(cpu);
            fresh.into_iter().for_each(Fresh::run);
        })
        .expect("the operating system has no thread left");
}

impl Context for Hosted {
    type Saved = Saved;

    unsafe fn prepare(
        _stack_top: *mut u8,
        entry: extern "C-unwind" fn(usize) -> !,
        argument: usize,
    ) -> Saved {
        Saved(Inner::Prepared { entry, argument })
    }

    unsafe fn switch(from: *mut Saved, to: *mut Saved, _: &IrqsOff<Self>) {
        let own = own();
        // SAFETY: the caller says that both are valid and that nobody else touches them.
        let next = unsafe {
            *from = Saved(Inner::Left(Arc::clone(&own)));
            core::mem::take(&mut (*to).0)
        };
        match next {
            Inner::Away => panic!("switch to a thread that runs"),
            Inner::Prepared { entry, argument } => begin(entry, argument),
            Inner::Left(baton) => baton.give(Handed(cpu::here())),
        }
        resume(&own);
    }
}
