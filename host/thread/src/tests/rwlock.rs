use std::sync::Arc;

use super::{Log, boot, ms, run, times};
use crate::{RwLock, sleep, time, yield_now};

#[test]
fn many_read_or_one_writes() {
    boot();
    let lock = Arc::new(RwLock::new(0_u32));
    let first = lock.read();
    let second = lock.read();
    assert_eq!((*first, *second), (0, 0));
    assert!(lock.write_until(time::now().after(ms(5))).is_none());
    // The writer that gave up does not keep readers out.
    drop(lock.read_until(time::now()).unwrap());
    let writer = run("writer", 5, {
        let lock = lock.clone();
        move || *lock.write() += 1
    });
    // It waits, so nobody else comes in.
    assert!(lock.read_until(time::now().after(ms(5))).is_none());
    drop(first);
    drop(second);
    writer.join();
    assert_eq!(*lock.read(), 1);
}

#[test]
fn readers_and_writers_take_turns() {
    boot();
    let lock = Arc::new(RwLock::new(()));
    let log = Log::default();
    let mut write = Some(lock.write());
    let threads: std::vec::Vec<_> = ["w1", "r1", "r2", "w2", "r3"]
        .into_iter()
        .map(|name| {
            let (lock, log) = (lock.clone(), log.clone());
            let thread = run(name, 3, move || {
                let reads = name.starts_with('r').then(|| lock.read());
                let writes = reads.is_none().then(|| lock.write());
                log.note(name);
                sleep(ms(1));
                drop((reads, writes));
            });
            yield_now();
            thread
        })
        .collect();
    drop(write.take());
    threads.iter().for_each(crate::Thread::join);
    assert_eq!(log.take(), ["r1", "r2", "r3", "w1", "w2"]);
}

#[test]
fn a_lock_for_readers_and_writers_holds_under_load() {
    boot();
    let lock = Arc::new(RwLock::new((0_u32, 0_u32)));
    let threads: std::vec::Vec<_> = (0..6_u8)
        .map(|n| {
            let lock = lock.clone();
            run("contender", n, move || {
                for _ in 0..times(50) {
                    if n % 2 == 0 {
                        let mut pair = lock.write();
                        pair.0 += 1;
                        sleep(ms(1));
                        pair.1 += 1;
                    } else if let Some(pair) = lock.read_until(time::now().after(ms(u64::from(n)))) {
                        assert_eq!(pair.0, pair.1);
                        sleep(ms(1));
                    }
                }
            })
        })
        .collect();
    threads.iter().for_each(crate::Thread::join);
    assert_eq!(*lock.read(), (3 * times(50), 3 * times(50)));
}
