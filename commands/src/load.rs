//! How busy the CPUs are.

use alloc::vec::Vec;

use arch::{CpuId, Nanos};
use host_thread::{Info, Kind};

/// What became of a CPU's time until some point.
#[derive(Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) cpu: CpuId,
    /// Since threads started there.
    total: Nanos,
    idle: Nanos,
    interrupts: Nanos,
}

/// The share of something, in tenths of a percent.
pub(crate) struct Tenths(u64);

impl core::fmt::Display for Tenths {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(&alloc::format!("{}.{}", self.0 / 10, self.0 % 10))
    }
}

/// How much of `whole` is `part`.
pub(crate) fn share(part: Nanos, whole: Nanos) -> Tenths {
    // Microseconds, so that thousand times as much fits.
    Tenths((part.0 / 1000 * 1000 / (whole.0 / 1000).max(1)).min(1000))
}

/// Samples of all CPUs: the idle thread of each either runs, or is ready because another one does.
pub(crate) fn samples(threads: &[Info]) -> Vec<Sample> {
    let idle = threads.iter().filter(|thread| thread.attributes.kind == Kind::Idle);
    let mut samples: Vec<Sample> = idle
        .map(|thread| Sample {
            cpu: thread.cpu,
            total: thread.stats.running.after(thread.stats.ready),
            idle: thread.stats.running,
            interrupts: host_irq::time_of(thread.cpu),
        })
        .collect();
    samples.sort_by_key(|sample| sample.cpu);
    samples
}

impl Sample {
    /// What has passed since `earlier`, of the same CPU.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            cpu: self.cpu,
            total: self.total.since(earlier.total),
            idle: self.idle.since(earlier.idle),
            interrupts: self.interrupts.since(earlier.interrupts),
        }
    }

    /// How busy it was with threads.
    pub(crate) fn busy(&self) -> Tenths {
        share(self.total.since(self.idle), self.total)
    }

    /// How much of the time nobody had anything to do.
    pub(crate) fn idle(&self) -> Tenths {
        share(self.idle, self.total)
    }

    /// How busy it was with interrupts, which come on top while it idles, and are part of it while it is busy.
    pub(crate) fn interrupts(&self) -> Tenths {
        share(self.interrupts, self.total)
    }
}
