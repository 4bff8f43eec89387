//! The interrupt controller, version 2 (IHI 0048B) or 3 (IHI 0069), with one security state.

use atomic::{AtomicU64, Ordering::Relaxed};
use isa_gic::gicd::{self, ctlr};
use isa_gic::v2::gicc;
use isa_gic::v3::{Affinity, SgiTargets, encode_sgi, gicr};

use super::head::MAX_CPUS;
use super::mmio::{load32, load64, store8, store32, store64};
use super::registers::{affinity, get, set};
use crate::runtime::cpus;

/// Where its registers are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Gic {
    /// GICv2.
    V2 {
        /// GICD
        distributor: u64,
        /// GICC
        interface: u64,
    },
    /// GICv3, its CPU interface in system registers.
    V3 {
        /// GICD
        distributor: u64,
        /// The first GICR
        redistributors: u64,
    },
}

/// The redistributor of each CPU, by index.
static OWN: [AtomicU64; MAX_CPUS] = [const { AtomicU64::new(0) }; MAX_CPUS];

/// The priority that every interrupt begins with.
const PRIORITY: u8 = 0xa0;

impl Gic {
    /// The distributor's registers.
    pub(crate) fn distributor(self) -> u64 {
        let (Self::V2 { distributor, .. } | Self::V3 { distributor, .. }) = self;
        distributor
    }

    /// Starts the distributor, with everything disabled.
    pub(crate) fn start(self) {
        let gicd = self.distributor();
        match self {
            Self::V2 { .. } => store32(gicd + gicd::CTLR, ctlr::ENABLE_GRP0),
            Self::V3 { .. } => store32(gicd + gicd::CTLR, ctlr::ARE | ctlr::ENABLE_GRP1),
        }
        for bank in 1..self.interrupts().div_ceil(32) {
            store32(gicd + gicd::ICENABLER + u64::from(bank) * 4, !0);
            if let Self::V3 { .. } = self {
                store32(gicd + gicd::IGROUPR + u64::from(bank) * 4, !0);
            }
        }
    }

    /// How many interrupt numbers there are.
    pub(crate) fn interrupts(self) -> u32 {
        gicd::typer::interrupts(load32(self.distributor() + gicd::TYPER))
    }

    /// Starts this CPU's part, with its SGIs enabled.
    pub(crate) fn start_cpu(self) {
        match self {
            Self::V2 { interface, .. } => {
                store32(interface + gicc::PMR, 0xff);
                store32(interface + gicc::CTLR, gicc::ctlr::ENABLE);
            }
            Self::V3 { redistributors, .. } => {
                let own = own_redistributor(redistributors);
                OWN[cpus::index()].store(own, Relaxed);
                let waker = load32(own + gicr::WAKER) & !gicr::waker::PROCESSOR_SLEEP;
                store32(own + gicr::WAKER, waker);
                while load32(own + gicr::WAKER) & gicr::waker::CHILDREN_ASLEEP != 0 {}
                store32(own + gicr::SGI_BASE + gicd::IGROUPR, !0);
                set!("icc_sre_el1", 7);
                set!("icc_pmr_el1", 0xff);
                set!("icc_bpr1_el1", 0);
                set!("icc_igrpen1_el1", 1);
            }
        }
        let base = self.bank(0);
        store32(base + gicd::ICENABLER, 0xffff_0000);
        for id in 0..32 {
            self.set_priority(id, PRIORITY);
        }
        store32(base + gicd::ISENABLER, 0xffff);
    }

    /// Where a GICv3 has this CPU's own interrupts.
    pub(crate) fn own_registers(self) -> Option<u64> {
        match self {
            Self::V2 { .. } => None,
            Self::V3 { .. } => Some(self.bank(0)),
        }
    }

    /// Where the registers of interrupt `id` are.
    fn bank(self, id: u32) -> u64 {
        match self {
            Self::V3 { .. } if id < 32 => OWN[cpus::index()].load(Relaxed) + gicr::SGI_BASE,
            _ => self.distributor(),
        }
    }

    fn set_bit(self, bank: u64, id: u32) {
        store32(gicd::bit_register(self.bank(id) + bank, id), 1 << (id % 32));
    }

    fn bit(self, bank: u64, id: u32) -> bool {
        load32(gicd::bit_register(self.bank(id) + bank, id)) & 1 << (id % 32) != 0
    }

    /// Enables an interrupt, and routes it to this CPU if it is shared.
    pub(crate) fn enable(self, id: u32) {
        self.set_priority(id, PRIORITY);
        self.route(id);
        self.set_bit(gicd::ISENABLER, id);
    }

    /// Routes an interrupt to this CPU if it is shared.
    pub(crate) fn route(self, id: u32) {
        if id >= 32 {
            match self {
                Self::V2 { distributor, .. } => {
                    // The first eight, which read as this CPU's own bit.
                    let own = load32(distributor + gicd::ITARGETSR) as u8;
                    store8(distributor + gicd::ITARGETSR + u64::from(id), own.max(1));
                }
                Self::V3 { distributor, .. } => store64(distributor + gicd::irouter(id), affinity()),
            }
        }
    }

    /// Disables an interrupt.
    pub(crate) fn disable(self, id: u32) {
        self.set_bit(gicd::ICENABLER, id);
    }

    /// Whether an interrupt is enabled.
    pub(crate) fn is_enabled(self, id: u32) -> bool {
        self.bit(gicd::ISENABLER, id)
    }

    /// Makes an interrupt pending that is not an SGI of version 2.
    pub(crate) fn pend(self, id: u32) {
        self.set_bit(gicd::ISPENDR, id);
    }

    /// Takes that back.
    pub(crate) fn unpend(self, id: u32) {
        self.set_bit(gicd::ICPENDR, id);
    }

    /// Whether an interrupt is pending.
    pub(crate) fn is_pending(self, id: u32) -> bool {
        self.bit(gicd::ISPENDR, id)
    }

    /// Whether an interrupt is active.
    pub(crate) fn is_active(self, id: u32) -> bool {
        self.bit(gicd::ISACTIVER, id)
    }

    /// Sets an interrupt's priority; 0 is the highest.
    pub(crate) fn set_priority(self, id: u32, priority: u8) {
        store8(self.bank(id) + gicd::IPRIORITYR + u64::from(id), priority);
    }

    /// Makes a shared interrupt edge-triggered.
    pub(crate) fn set_edge(self, id: u32) {
        let register = self.bank(id) + gicd::ICFGR + u64::from(id / 16) * 4;
        store32(register, load32(register) | gicd::ICFGR_EDGE << (id % 16 * 2));
    }

    /// Lets through what has a higher priority than this.
    pub(crate) fn set_mask(self, priority: u8) {
        match self {
            Self::V2 { interface, .. } => store32(interface + gicc::PMR, priority.into()),
            Self::V3 { .. } => set!("icc_pmr_el1", priority.into()),
        }
    }

    /// Takes the interrupt that waits; what it returns is given to [`end`](Self::end). Its low ten bits
    /// are the number, 1023 if there is none.
    #[inline(always)]
    pub(crate) fn acknowledge(self) -> u32 {
        match self {
            Self::V2 { interface, .. } => load32(interface + gicc::IAR),
            Self::V3 { .. } => get!("icc_iar1_el1") as u32,
        }
    }

    /// Ends an interrupt.
    #[inline(always)]
    pub(crate) fn end(self, acknowledged: u32) {
        match self {
            Self::V2 { interface, .. } => store32(interface + gicc::EOIR, acknowledged),
            Self::V3 { .. } => set!("icc_eoir1_el1", acknowledged.into()),
        }
    }

    /// Sends SGI `id` to the CPU with this affinity.
    #[inline(always)]
    pub(crate) fn send(self, id: u32, to: u64) {
        match self {
            Self::V2 { distributor, .. } => {
                let targets = gicd::SgiTargets::List(1 << (to & 7));
                store32(distributor + gicd::SGIR, gicd::encode_sgir(targets, id));
            }
            Self::V3 { .. } => {
                let targets = SgiTargets::one(Affinity::from_mpidr(to));
                set!("icc_sgi1r_el1", encode_sgi(targets, id));
            }
        }
    }

    /// Sends SGI `id` to all other CPUs.
    pub(crate) fn send_others(self, id: u32) {
        match self {
            Self::V2 { distributor, .. } => {
                store32(distributor + gicd::SGIR, gicd::encode_sgir(gicd::SgiTargets::Others, id));
            }
            Self::V3 { .. } => set!("icc_sgi1r_el1", encode_sgi(SgiTargets::Others, id)),
        }
    }
}

fn own_redistributor(mut frame: u64) -> u64 {
    let wanted = Affinity::from_mpidr(affinity());
    loop {
        let typer = load64(frame + gicr::TYPER);
        if gicr::typer::affinity(typer) == wanted || typer & gicr::typer::LAST != 0 {
            return frame;
        }
        frame += gicr::typer::stride(typer);
    }
}
