//! What a virtual CPU is joined to.

use arch::{GuestPort, Held, Nanos};
use atomic::{Arc, AtomicU32, Ordering};
use host_sync::{IrqOff, Rank, Spin};
use isa_gic::v3::Affinity;
use vio::irq::Pins;
use vm_bus::{Refused, VcpuWaker};

use super::exchange::TimerNews;
use super::pins::{Bell, Inputs, OwnPins};
use super::registers::tells_of_hardware;
use super::state::{Caller, CpuIndex, Gic, Intid, Version};

/// The controller of one guest, as its frames, its lines and its CPUs share it.
pub(super) struct Shared {
    /// Locked with interrupts masked: exchanges happen so, and wake-ups come from anywhere.
    gic: Spin<Gic, IrqOff>,
    pub(super) inputs: Arc<Inputs>,
}

impl Shared {
    /// A controller with `words` blocks of 32 shared interrupts.
    pub(super) fn new(version: Version, affinities: &[Affinity], words: usize, timer: Intid) -> Arc<Self> {
        let inputs = Arc::new(Inputs::new(words, affinities.len()));
        let gic = Gic::new(version, affinities, timer, inputs.clone());
        Arc::new(Self { gic: Spin::ranked(gic, Rank::Controller), inputs })
    }

    /// Does something to the state that no CPU asked for.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Gic) -> R) -> R {
        act(&mut self.gic.lock())
    }

    /// Does what CPU `by` asks for by a register access.
    #[inline]
    pub(super) fn access<R>(&self, by: u32, act: impl FnOnce(&mut Gic, usize) -> R) -> R {
        let by = by as usize;
        let mut gic = self.gic.lock();
        gic.caller = Caller::Access(CpuIndex::new(by));
        let result = act(&mut gic, by);
        gic.caller = Caller::Nobody;
        result
    }

    /// Reads for CPU `by` a register that lies at `offset` in its frame, unless the CPU's hardware has to be
    /// asked first.
    #[inline]
    pub(super) fn read(
        &self,
        by: u32,
        offset: u64,
        act: impl FnOnce(&mut Gic, usize) -> u64,
    ) -> Result<u64, Refused> {
        self.access(by, |gic, by| {
            if tells_of_hardware(offset) && !gic.is_settled(by) {
                return Err(Refused::Unsettled);
            }
            Ok(act(gic, by))
        })
    }

    /// The pins, as devices see them.
    pub(super) fn pins(&self) -> Arc<dyn Pins> {
        self.inputs.clone()
    }

    /// The pins of CPU `cpu`'s own interrupts.
    pub(super) fn own_pins(&self, cpu: u32) -> Arc<dyn Pins> {
        Arc::new(OwnPins { inputs: self.inputs.clone(), cpu: cpu as usize })
    }

    /// The port of CPU `vcpu`.
    pub(super) fn port(self: &Arc<Self>, vcpu: u32, waker: Arc<dyn VcpuWaker>) -> Arc<dyn GuestPort> {
        let bell = self.inputs.bells().get(vcpu as usize).cloned().unwrap_or_default();
        bell.connect(waker);
        Arc::new(Port {
            bell,
            cpu: vcpu as usize,
            shared: self.clone(),
            news: AtomicU32::new(SILENT),
            told: AtomicU32::new(LOW),
            behind: AtomicU32::new(0),
        })
    }
}

/// No news about the timer, or news: its line is low, high, or high with a host interrupt behind it.
const SILENT: u32 = 0;
const LOW: u32 = 1;
const HIGH: u32 = 2;
const LINKED: u32 = 3;

struct Port {
    bell: Arc<Bell>,
    cpu: usize,
    shared: Arc<Shared>,
    /// What is new about the timer. The CPU itself writes and reads this, so plain loads and stores do.
    news: AtomicU32,
    /// What was said about it last.
    told: AtomicU32,
    /// The host interrupt, for [`LINKED`].
    behind: AtomicU32,
}

impl GuestPort for Port {
    fn stir(&self) -> &Arc<AtomicU32> {
        self.bell.state()
    }

    fn exchange(&self, held: &mut Held) {
        let mut gic = self.shared.gic.lock();
        // First, so that what changes from here on calls again.
        self.bell.answer();
        let timer = match self.news.load(Ordering::Relaxed) {
            SILENT => None,
            LOW => Some(TimerNews { level: false, behind: None }),
            HIGH => Some(TimerNews { level: true, behind: None }),
            _ => Some(TimerNews { level: true, behind: Some(self.behind.load(Ordering::Relaxed)) }),
        };
        self.news.store(SILENT, Ordering::Relaxed);
        gic.exchange(self.cpu, timer, held);
    }

    #[inline]
    fn timer_line(&self, level: bool, behind: Option<u32>) {
        let news = match (level, behind) {
            (false, _) => LOW,
            (true, None) => HIGH,
            (true, Some(irq)) => {
                self.behind.store(irq, Ordering::Relaxed);
                LINKED
            }
        };
        // A host interrupt is news each time: it comes again when the guest ended the one before.
        if news == LINKED || self.told.load(Ordering::Relaxed) != news {
            self.told.store(news, Ordering::Relaxed);
            self.news.store(news, Ordering::Relaxed);
            self.bell.stir();
        }
    }

    fn wake(&self) {
        self.bell.wake();
    }

    fn timer_leaves(&self, at: Nanos) {
        self.bell.wake_at(at);
    }
}

/// For tests of the state alone.
#[cfg(test)]
pub(super) fn affinities(count: u32) -> alloc::vec::Vec<Affinity> {
    (0..count).map(|n| Affinity::new(((n / 16) << 8) | (n % 16))).collect()
}
