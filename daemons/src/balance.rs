//! Load balancing: virtual CPUs that wait for their host CPU go to one that has time for them.
//!
//! What a thread needs is measured: how long it ran and was ready in a period; the rest of it, it was idle. While
//! nobody waits for a CPU the daemon looks ever more rarely. When somebody does, threads are moved where that makes
//! the busiest CPU less busy, within their affinity.

mod plan;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use arch::Nanos;
use host_thread::{Info, Kind, Options, Priority, SpawnError, ThreadId};

use plan::{Load, Move};

/// How long is measured.
const PERIOD: Nanos = Nanos::from_millis(100);
/// The longest time between two looks.
const RAREST: Nanos = Nanos::from_millis(3200);
/// A thread that was ready for more than this share of the time, in thousandths, waits for its CPU.
const WAITS: u64 = 100;

/// Starts the daemon; it does nothing while one CPU is online.
///
/// # Errors
/// There is no memory for its thread.
pub fn start() -> Result<(), SpawnError> {
    let options = Options::new("balance").priority(Priority::HIGHEST);
    host_thread::spawn(options, Box::new(live)).map(drop)
}

/// The times of a thread so far.
#[derive(Clone, Copy, Default)]
struct Times {
    running: u64,
    ready: u64,
}

fn live() {
    let mut pause = PERIOD;
    loop {
        host_thread::sleep(pause);
        if host_thread::online().iter().count() < 2 {
            pause = RAREST;
            continue;
        }
        let loads = measure(PERIOD);
        if !loads.iter().any(|load| load.waited > WAITS) {
            pause = Nanos((pause.0 * 2).min(RAREST.0));
            continue;
        }
        let moves = plan::moves(&loads, host_thread::online());
        // Where nothing can be made better, asking again soon does not help.
        pause = if moves.is_empty() { Nanos((pause.0 * 2).min(RAREST.0)) } else { PERIOD };
        carry_out(&moves);
    }
}

/// What each virtual CPU and each CPU's own threads needed during `length`.
fn measure(length: Nanos) -> Vec<Load> {
    let before: BTreeMap<ThreadId, Times> =
        host_thread::list().iter().map(|thread| (thread.id, times(thread))).collect();
    let begun = host_thread::time::now();
    host_thread::sleep(length);
    let whole = host_thread::time::now().since(begun).0.max(1);
    let share = |now: u64, then: u64| now.saturating_sub(then).saturating_mul(1000) / whole;
    let list = host_thread::list();
    let busy = list.iter().filter(|thread| thread.attributes.kind != Kind::Idle);
    busy.map(|thread| {
        let then = before.get(&thread.id).copied().unwrap_or_else(|| times(thread));
        let now = times(thread);
        let waited = share(now.ready, then.ready);
        Load {
            thread: thread.id,
            cpu: thread.cpu,
            affinity: thread.affinity,
            is_vcpu: thread.attributes.kind == Kind::Vcpu,
            waited,
            needs: share(now.running, then.running) + waited,
        }
    })
    .collect()
}

fn times(thread: &Info) -> Times {
    Times { running: thread.stats.running.0, ready: thread.stats.ready.0 }
}

fn carry_out(moves: &[Move]) {
    for order in moves {
        // A CPU that went offline, or a thread that ended meanwhile: nothing to be balanced there.
        let _ = host_thread::send(order.thread, order.to);
    }
}
