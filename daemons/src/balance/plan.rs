//! Who should go where, from what was measured.

use alloc::vec::Vec;

use arch::CpuId;
use host_thread::{CpuSet, ThreadId};

/// A move must make the busiest of its two CPUs less busy by this, in thousandths of a CPU.
const WORTH: u64 = 100;
/// Moves at once.
const MOST: usize = 4;

/// What a thread needed, in thousandths of a CPU.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) thread: ThreadId,
    pub(super) cpu: CpuId,
    pub(super) affinity: CpuSet,
    pub(super) is_vcpu: bool,
    /// How long it waited for its CPU.
    pub(super) waited: u64,
    /// How long it ran or waited for its CPU.
    pub(super) needs: u64,
}

/// A thread goes to another CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Move {
    pub(super) thread: ThreadId,
    pub(super) to: CpuId,
}

/// The moves that are worth it, the best one first. Only virtual CPUs move.
pub(super) fn moves(loads: &[Load], online: CpuSet) -> Vec<Move> {
    let mut loads = loads.to_vec();
    let mut moves = Vec::new();
    while moves.len() < MOST {
        let Some((index, to)) = best(&loads, online) else { break };
        let Some(load) = loads.get_mut(index) else { break };
        load.cpu = to;
        moves.push(Move { thread: load.thread, to });
    }
    moves
}

/// The move after which the busier of its two CPUs is the least busy, compared with before.
fn best(loads: &[Load], online: CpuSet) -> Option<(usize, CpuId)> {
    let on = |cpu: CpuId| loads.iter().filter(|load| load.cpu == cpu).map(|load| load.needs).sum::<u64>();
    let sums: Vec<(CpuId, u64)> = online.iter().map(|cpu| (cpu, on(cpu))).collect();
    let mut found: Option<(u64, usize, CpuId)> = None;
    for (index, load) in loads.iter().enumerate().filter(|(_, load)| load.is_vcpu && load.waited > 0) {
        let here = on(load.cpu);
        for (to, there) in sums.iter().filter(|(to, _)| *to != load.cpu && load.affinity.contains(*to)) {
            let after = (here - load.needs).max(there + load.needs);
            let gain = here.max(*there).saturating_sub(after);
            if gain >= WORTH && found.is_none_or(|(most, ..)| gain > most) {
                found = Some((gain, index, *to));
            }
        }
    }
    found.map(|(_, index, to)| (index, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vcpu(thread: u64, cpu: u32, needs: u64, waited: u64) -> Load {
        let (thread, cpu) = (ThreadId(thread), CpuId(cpu));
        Load { thread, cpu, affinity: CpuSet::ALL, is_vcpu: true, waited, needs }
    }

    fn cpus(count: u32) -> CpuSet {
        (0..count).map(CpuId).collect()
    }

    #[test]
    fn who_waits_goes_to_a_cpu_with_time() {
        let loads = [vcpu(1, 0, 1000, 500), vcpu(2, 0, 1000, 500), vcpu(3, 1, 50, 0)];
        assert_eq!(moves(&loads, cpus(2)), [Move { thread: ThreadId(1), to: CpuId(1) }]);
    }

    #[test]
    fn nobody_moves_where_all_are_equally_busy_or_nobody_waits() {
        let even = [0, 1].map(|cpu| [0, 1].map(|n| vcpu(u64::from(2 * cpu + n), cpu, 1000, 500)));
        assert_eq!(moves(&even.concat(), cpus(2)), []);
        assert_eq!(moves(&[vcpu(1, 0, 400, 0), vcpu(2, 0, 400, 0)], cpus(2)), []);
        assert_eq!(moves(&[vcpu(1, 0, 1000, 0)], cpus(2)), [], "alone it runs there as well as here");
    }

    #[test]
    fn affinity_and_the_hypervisors_own_threads_stay() {
        let mut loads = [vcpu(1, 0, 1000, 500), vcpu(2, 0, 1000, 500)];
        loads[0].affinity = CpuSet::of(CpuId(0));
        assert_eq!(moves(&loads, cpus(2)), [Move { thread: ThreadId(2), to: CpuId(1) }]);
        loads[1].is_vcpu = false;
        assert_eq!(moves(&loads, cpus(2)), []);
        assert_eq!(moves(&loads, cpus(1)), [], "there is no other CPU");
    }

    #[test]
    fn many_on_one_cpu_spread_over_all() {
        let loads: Vec<Load> = (0..8).map(|n| vcpu(n, 0, 1000, 875)).collect();
        let mut now = loads.clone();
        // Some at a time.
        for _ in 0..3 {
            for order in moves(&now, cpus(4)) {
                now.iter_mut().find(|load| load.thread == order.thread).unwrap().cpu = order.to;
            }
        }
        for cpu in 0..4 {
            assert_eq!(now.iter().filter(|load| load.cpu == CpuId(cpu)).count(), 2, "{now:?}");
        }
    }
}
