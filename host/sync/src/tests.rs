use arch::{Cpu, IrqsOff, Machine};
use atomic::{Arc, AtomicU32, Ordering};
use std::cell::Cell;
use std::vec::Vec;

use crate::{Aside, IrqOff, MAX_CPUS, Once, PerCpu, PreemptGuard, Rank, Spin, set_reschedule_hook};

#[test]
fn a_spin_lock_lets_one_in_at_a_time() {
    let rounds = if cfg!(miri) { 50 } else { 20_000 };
    let value = Spin::<_>::new((0u32, 0u32));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    let mut pair = value.lock();
                    pair.0 += 1;
                    pair.1 += 1;
                    assert_eq!(pair.0, pair.1);
                }
            });
        }
    });
    assert_eq!(value.into_inner(), (3 * rounds, 3 * rounds));
}

#[test]
fn a_lock_that_is_held_cannot_be_tried() {
    let lock = Spin::<_, IrqOff>::new(1);
    let guard = lock.lock();
    assert!(lock.try_lock().is_none());
    drop(guard);
    assert_eq!(lock.try_lock().as_deref(), Some(&1));
}

#[test]
fn a_lock_switches_off_what_its_context_says() {
    let counts = || {
        let nesting = Machine::nesting_here();
        (nesting.irqs_off(), nesting.preempt_off().get())
    };
    assert_eq!(counts(), (0, 0));
    let irqs = Spin::<_, IrqOff>::new(());
    let guard = irqs.lock();
    assert_eq!(counts(), (1, 0));
    drop(guard);
    let preemption = Spin::<_>::new(());
    let guard = preemption.lock();
    assert_eq!(counts(), (0, 1));
    drop(guard);
    assert_eq!(counts(), (0, 0));
}

#[test]
fn a_lock_of_a_device_can_be_shared_by_its_trait() {
    trait Device: Send {
        fn read(&mut self) -> u32;
    }
    struct Seven;
    impl Device for Seven {
        fn read(&mut self) -> u32 {
            7
        }
    }
    let shared: Arc<Spin<dyn Device>> = Arc::new(Spin::new(Seven));
    assert_eq!(shared.lock().read(), 7);
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a lock of rank Plain is taken, and one of rank Roster held")]
fn locks_taken_against_their_ranks_are_noticed() {
    let plain = Spin::<_>::new(());
    let roster = Spin::<_>::ranked((), Rank::Roster);
    {
        let _plain = plain.lock();
        let _roster = roster.lock();
    }
    let _roster = roster.lock();
    let _plain = plain.lock();
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "a lock of rank Plain is taken, and one of rank Plain held")]
fn a_lock_that_is_taken_twice_is_noticed() {
    let lock = Spin::<_>::new(());
    let _once = lock.lock();
    let _twice = lock.lock();
}

#[test]
fn a_handler_may_take_what_comes_before_the_locks_of_whom_it_interrupts() {
    let interrupted = Spin::<_>::ranked((), Rank::Roster);
    let its = Spin::<_, IrqOff>::new(());
    let held = interrupted.lock();
    let aside = Aside::new();
    drop(its.lock());
    drop(aside);
    drop(held);
    drop(its.lock());
}

#[test]
#[cfg(debug_assertions)]
fn the_list_of_ranks_has_all_in_their_order() {
    let ranks = crate::rank::ALL;
    assert!(ranks.iter().enumerate().all(|(place, rank)| *rank as usize == place));
    assert_eq!(ranks.last(), Some(&Rank::Registers));
}

#[test]
fn a_once_is_made_once_however_many_ask() {
    let (once, made) = (Once::new(), AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let value = once.get_or_init(|| made.fetch_add(1, Ordering::Relaxed) + 10);
                assert_eq!(*value, 10);
            });
        }
    });
    assert_eq!(once.get(), Some(&10));
    assert_eq!(once.set(11), Err(11));
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[test]
fn a_once_drops_its_value() {
    let value = Arc::new(());
    let once = Once::new();
    once.set(value.clone()).unwrap();
    assert_eq!(Arc::strong_count(&value), 2);
    drop(once);
    assert_eq!(Arc::strong_count(&value), 1);
    drop(Once::<Arc<()>>::new());
}

#[test]
fn every_processor_has_its_own() {
    static OWN: PerCpu<AtomicU32> = PerCpu::new([const { AtomicU32::new(0) }; MAX_CPUS]);
    let add = || {
        let masked = IrqsOff::now();
        OWN.get(&masked).fetch_add(1, Ordering::Relaxed);
        Machine::id(&masked)
    };
    let ids: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| [add(), add()])).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for [first, second] in ids {
        assert_eq!(first, second);
        assert_eq!(OWN.of(first).load(Ordering::Relaxed), 2);
    }
}

std::thread_local! {
    static SWITCHED: Cell<u32> = const { Cell::new(0) };
}

#[test]
fn the_last_guard_against_preemption_does_the_switch_that_was_asked_for() {
    set_reschedule_hook(|| SWITCHED.set(SWITCHED.get() + 1));
    let (outer, inner) = (PreemptGuard::new(), PreemptGuard::new());
    Machine::nesting_here().resched().set(true);
    drop(inner);
    assert_eq!(SWITCHED.get(), 0);
    drop(outer);
    assert_eq!(SWITCHED.get(), 1);
    Machine::nesting_here().resched().set(false);
    drop(PreemptGuard::new());
    assert_eq!(SWITCHED.get(), 1);
}
