use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::vec::Vec;

use super::{Log, boot, compute, level, ms};
use crate::work::{self, Queue, Work};
use crate::{Options, list, sleep};

fn queue() -> Queue {
    Queue::new(Options::new("queue").priority(level(5))).unwrap()
}

#[test]
fn jobs_are_done_in_the_order_in_which_they_were_asked_for() {
    boot();
    let (queue, log) = (queue(), Log::default());
    let guard = host_sync::PreemptGuard::new();
    let works: Vec<Work> = ["a", "b", "c"]
        .into_iter()
        .map(|name| {
            let log = log.clone();
            queue.work(move || log.note(name))
        })
        .collect();
    for index in [2, 0, 2, 1, 0] {
        works[index].ask();
    }
    assert!(log.take().is_empty());
    drop(guard);
    queue.flush();
    assert_eq!(log.take(), ["c", "a", "b"]);
    works[0].ask();
    works[0].wait();
    assert_eq!(log.take(), ["a"]);
}

#[test]
fn a_job_for_later_is_done_later_unless_it_is_taken_back() {
    boot();
    let (queue, count) = (queue(), Arc::new(AtomicU32::new(0)));
    let work = queue.work({
        let count = count.clone();
        move || {
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    work.ask_after(ms(5));
    compute(4);
    assert_eq!(count.load(Ordering::Relaxed), 0);
    compute(2);
    assert_eq!(count.load(Ordering::Relaxed), 1);
    work.ask_after(ms(5));
    assert!(work.cancel());
    assert!(!work.cancel());
    compute(20);
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[test]
fn who_drops_a_job_or_a_queue_waits_for_what_runs() {
    boot();
    let (queue, log) = (queue(), Log::default());
    let work = queue.work({
        let log = log.clone();
        move || {
            sleep(ms(10));
            log.note("done");
        }
    });
    work.ask();
    compute(1);
    drop(work);
    assert_eq!(log.take(), ["done"]);
    let work = queue.work({
        let log = log.clone();
        move || {
            sleep(ms(10));
            log.note("done again");
        }
    });
    work.ask();
    drop(queue);
    assert_eq!(log.take(), ["done again"]);
    // Nobody does it any more, and nobody waits for it.
    work.ask();
    work.wait();
    assert!(log.take().is_empty());
}

#[test]
fn a_job_may_ask_for_itself_again() {
    boot();
    let (queue, count) = (queue(), Arc::new(AtomicU32::new(0)));
    let slot: Arc<std::sync::OnceLock<Work>> = Arc::default();
    let work = queue.work({
        let (slot, count) = (Arc::downgrade(&slot), count.clone());
        move || {
            if count.fetch_add(1, Ordering::Relaxed) < 4
                && let Some(slot) = slot.upgrade()
                && let Some(work) = slot.get()
            {
                work.ask_after(ms(3));
            }
        }
    });
    let _ = slot.set(work);
    slot.get().unwrap().ask();
    sleep(ms(20));
    assert_eq!(count.load(Ordering::Relaxed), 5);
}

#[test]
fn every_processor_has_a_queue_for_all() {
    boot();
    let log = Log::default();
    let work = work::system().unwrap().work({
        let log = log.clone();
        move || log.note(crate::current().name())
    });
    work.ask();
    work.wait();
    let name = std::format!("work/{}", crate::current().cpu().0);
    assert_eq!(log.take(), core::slice::from_ref(&name));
    assert!(core::ptr::eq(work::system().unwrap(), work::system().unwrap()));
    assert_eq!(list().iter().filter(|info| info.name == name).count(), 1);
}
